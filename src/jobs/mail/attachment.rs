//! The list as a table, for days without the internet: it opens in Excel and prints on paper.

use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, XlsxError};

use crate::core::line::Lines;
use crate::core::phone::PhoneNumber;
use crate::core::written_text::in_order;
use crate::store::CallbackView;
use crate::time::{TimeZone, Timestamp};

/// The number that Excel has for A4.
const PAPER_A4: u8 = 9;
/// As many characters as one cell holds, for letters that take two places each.
const LONGEST_CELL: usize = 32_767 / 2;

/// One row for each callback, in the order of the list. Numbers and texts only where `personal_data` allows it. Whatever
/// callers and officers wrote is text: no cell is a formula.
pub(super) fn table(
    listed: &[CallbackView],
    lines: &Lines,
    zone: &TimeZone,
    personal_data: bool,
) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.set_name("Перезвонить")?;
    sheet.set_landscape().set_paper_size(PAPER_A4).set_print_fit_to_pages(1, 0).set_repeat_rows(0, 0)?;
    let head = Format::new().set_bold();
    let instant = Format::new().set_num_format("dd.mm.yyyy hh:mm");
    let columns: Vec<(&str, u16)> = [("№", 5), ("Рег. номер", 14), ("Линия", 14), ("Звонил", 17), ("Срок", 17)]
        .into_iter()
        .chain([("Сообщений", 11), ("Попыток", 9)])
        .chain(if personal_data { vec![("Телефон", 18), ("О чём", 60)] } else { Vec::new() })
        .chain([("Результат", 24)])
        .collect();
    for (place, (title, width)) in (0u16..).zip(&columns) {
        sheet.set_column_width(place, *width)?;
        sheet.write_string_with_format(0, place, *title, &head)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    for (row, view) in (1u32..).zip(listed) {
        let callback = &view.callback;
        sheet.write_number(row, 0, row)?;
        sheet.write_string(row, 1, callback.registration_number.as_deref().unwrap_or_default())?;
        sheet.write_string(row, 2, cell(&lines.by_id(&callback.line).title))?;
        sheet.write_datetime_with_format(row, 3, wall(callback.received_at, zone)?, &instant)?;
        if let Some(due_at) = callback.due_at {
            sheet.write_datetime_with_format(row, 4, wall(due_at, zone)?, &instant)?;
        }
        sheet.write_number(row, 5, view.voicemails_count as f64)?;
        sheet.write_number(row, 6, view.attempts().len() as f64)?;
        if personal_data {
            let number = callback.number_to_dial();
            sheet.write_string(row, 7, number.map_or_else(|| "номер скрыт".to_owned(), PhoneNumber::spaced))?;
            sheet.write_string(row, 8, cell(callback.desk.notes.summary.as_deref().unwrap_or_default()))?;
        }
    }
    let last_row = u32::try_from(listed.len()).unwrap_or(u32::MAX);
    let last_column = u16::try_from(columns.len()).unwrap_or(1).saturating_sub(1);
    sheet.autofilter(0, 0, last_row, last_column)?;
    workbook.save_to_buffer()
}

fn cell(text: &str) -> String {
    in_order(text)
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'))
        .take(LONGEST_CELL)
        .collect()
}

/// The instant on the clock of the school, without its seconds.
fn wall(at: Timestamp, zone: &TimeZone) -> Result<ExcelDateTime, XlsxError> {
    let at = at.to_zoned(zone.clone()).datetime();
    let year = u16::try_from(at.year()).unwrap_or(1900);
    let part = |part: i8| u8::try_from(part).unwrap_or(0);
    ExcelDateTime::from_ymd(year, part(at.month()), part(at.day()))?.and_hms(
        u16::from(part(at.hour())),
        part(at.minute()),
        0,
    )
}
