//! Sheets that leave the house: one table, as CSV for a double click in the Russian Excel, or as XLSX.
//!
//! Whatever callers and officers wrote stays text: no cell of ours is ever a formula (UX §3, «Export»).

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use rust_xlsxwriter::{ExcelDateTime, Format, FormatAlign, Workbook, Worksheet, XlsxError};
use tracing::error;

use super::work_queue::{WorkError, WorkQueue};
use crate::core::phone::PhoneNumber;
use crate::core::written_text::in_order;
use crate::time::{DateTime, TimeZone, Timestamp};

/// The most rows of one export. What lies beyond is said in [`Sheet::cut`].
pub const MOST_ROWS: usize = 50_000;

/// Files made at once: one of all calls takes time and memory.
const MAX_RUNNING: usize = 2;
/// Requests that wait for their turn, each with its rows.
const MAX_WAITING: usize = 8;

/// One table with a heading line.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// The name of the XLSX tab. What such a name may not hold is left out.
    pub title: String,
    pub columns: Vec<Column>,
    /// Each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
    /// A sentence that stands below the rows where they are not all: «Это первые 50 000 строк. …».
    pub cut: Option<String>,
}

/// The head of one column.
#[derive(Clone, Debug)]
pub struct Column {
    pub title: String,
    /// In characters.
    pub width: u8,
}

impl Column {
    pub fn new(title: &str, width: u8) -> Self {
        Self { title: title.to_owned(), width }
    }
}

/// What stands in one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Empty,
    Text(String),
    /// As E.164, never a number to the program that opens the file.
    Phone(PhoneNumber),
    Number(i64),
    /// The wall clock of the school.
    Instant(DateTime),
    /// In milliseconds; shown in whole seconds.
    Length(i64),
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        let text = in_order(&text.into());
        if text.is_empty() { Self::Empty } else { Self::Text(text) }
    }

    /// The number, or «номер скрыт» where there is none.
    pub fn phone(number: Option<&PhoneNumber>) -> Self {
        number.map_or_else(|| Self::Text("номер скрыт".to_owned()), |number| Self::Phone(number.clone()))
    }

    /// The instant on the clocks of this zone.
    pub fn instant(at: Timestamp, zone: &TimeZone) -> Self {
        Self::Instant(at.to_zoned(zone.clone()).datetime())
    }

    /// As [`Cell::instant`]; empty for what has not happened.
    pub fn optional_instant(at: Option<Timestamp>, zone: &TimeZone) -> Self {
        at.map_or(Self::Empty, |at| Self::instant(at, zone))
    }

    /// As a text file carries it: `20.11.2026 19:40`, `0:03:05`.
    fn written(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => harmless(text),
            Self::Phone(number) if number.is_erased() => number.spaced(),
            Self::Phone(number) => harmless(number.e164()),
            Self::Number(number) => number.to_string(),
            Self::Instant(at) => at.strftime("%d.%m.%Y %H:%M").to_string(),
            Self::Length(ms) => {
                let seconds = seconds(*ms);
                format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
            }
        }
    }
}

/// Whole seconds; what lasted at all lasted a second.
fn seconds(ms: i64) -> i64 {
    if ms > 0 { ((ms + 500) / 1000).max(1) } else { 0 }
}

/// A text that a spreadsheet takes for a formula or a number gets an apostrophe before it, as one would type by hand.
fn harmless(text: &str) -> String {
    let begins_a_formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    if begins_a_formula { format!("'{text}") } else { text.to_owned() }
}

/// The two kinds of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SheetFormat {
    Csv,
    Xlsx,
}

impl SheetFormat {
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

impl Sheet {
    /// UTF-8 with a byte order mark, `;` between fields, CRLF after rows: a double click opens it right in the Russian Excel.
    pub fn csv(&self) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(b';')
            .terminator(csv::Terminator::CRLF)
            .flexible(true)
            .from_writer("\u{feff}".as_bytes().to_vec());
        let heading = self.columns.iter().map(|column| harmless(&column.title));
        let into_memory = "writing into memory does not fail, and rows may differ in length";
        writer.write_record(heading).expect(into_memory);
        for row in &self.rows {
            writer.write_record(row.iter().map(Cell::written)).expect(into_memory);
        }
        if let Some(cut) = &self.cut {
            writer.write_record([harmless(cut)]).expect(into_memory);
        }
        writer.into_inner().expect(into_memory)
    }

    /// Typed instants and lengths, telephone numbers as text, the heading frozen and repeated on paper, filters on it.
    pub fn xlsx(&self) -> Result<Vec<u8>, XlsxError> {
        let mut workbook = Workbook::new();
        // Rows go to a temporary file without a name as they are written: all cells at once take some 250 MB.
        let sheet = workbook.add_worksheet_with_constant_memory()?;
        sheet.set_name(tab_name(&self.title))?;
        sheet.set_landscape().set_paper_size(PAPER_A4).set_print_fit_to_pages(1, 0);
        let heading = Format::new().set_bold().set_text_wrap().set_align(FormatAlign::Top);
        for (place, column) in (0u16..).zip(&self.columns) {
            sheet.set_column_width(place, column.width)?;
            sheet.write_string_with_format(0, place, shortened(&column.title), &heading)?;
        }
        sheet.set_freeze_panes(1, 0)?;
        sheet.set_repeat_rows(0, 0)?;
        let formats = CellFormats::new();
        let mut below = 1u32;
        for row in &self.rows {
            for (place, cell) in (0u16..).zip(row) {
                formats.write(sheet, below, place, cell)?;
            }
            below += 1;
        }
        if let Some(last) = (self.columns.len() as u16).checked_sub(1) {
            sheet.autofilter(0, 0, below - 1, last)?;
        }
        if let Some(cut) = &self.cut {
            sheet.write_string(below, 0, shortened(cut))?;
        }
        workbook.save_to_buffer()
    }

    /// The sheet as a file to be saved under `name` (Russian, without extension). It is made beside the threads that
    /// answer everybody else; who is one too many is asked to come again.
    pub async fn response(self, name: &str, format: SheetFormat) -> Response {
        static MAKING: LazyLock<WorkQueue<()>> = LazyLock::new(|| WorkQueue::new(MAX_RUNNING, MAX_WAITING));
        let work = move || match format {
            SheetFormat::Csv => Ok(self.csv()),
            SheetFormat::Xlsx => self.xlsx(),
        };
        let failed = match MAKING.run((), work).await {
            Ok(Ok(file)) => {
                let headers = [
                    (CONTENT_TYPE, format.content_type().to_owned()),
                    (CONTENT_DISPOSITION, attachment(name, format.extension())),
                    (CACHE_CONTROL, "private, no-store".to_owned()),
                    (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
                ];
                return (headers, file).into_response();
            }
            Err(WorkError::QueueFull) => {
                let told = "Сейчас готовится много файлов. Подождите минуту и попробуйте ещё раз.";
                return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "60")], told).into_response();
            }
            Ok(Err(failed)) => failed.to_string(),
            Err(failed @ WorkError::Panicked(_)) => failed.to_string(),
        };
        error!(error = %failed, "A sheet could not be made: {failed}");
        (StatusCode::INTERNAL_SERVER_ERROR, "Таблицу сделать не удалось. Попробуйте ещё раз.").into_response()
    }
}

/// The number that Excel has for A4.
const PAPER_A4: u8 = 9;
/// As many characters as one cell of Excel holds, for letters that take two places each.
const LONGEST_CELL: usize = 32_767 / 2;
/// As many characters as the name of a tab may have.
const LONGEST_TAB: usize = 31;

/// Cut to what a cell holds, and without what no XML file may hold.
fn shortened(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\n' | '\t') || !(c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'));
    text.chars().filter(allowed).take(LONGEST_CELL).collect()
}

fn tab_name(title: &str) -> String {
    let allowed = |c: &char| !c.is_control() && !matches!(c, '[' | ']' | ':' | '*' | '?' | '/' | '\\');
    let name: String = title.chars().filter(allowed).take(LONGEST_TAB).collect();
    let name = name.trim_matches(['\'', ' ']);
    if name.is_empty() { "Таблица".to_owned() } else { name.to_owned() }
}

struct CellFormats {
    text: Format,
    instant: Format,
    length: Format,
}

impl CellFormats {
    fn new() -> Self {
        let top = || Format::new().set_align(FormatAlign::Top);
        Self {
            // «@» is Excel's word for text: who edits a telephone number still edits a text.
            text: top().set_num_format("@").set_text_wrap(),
            instant: top().set_num_format("dd.mm.yyyy hh:mm"),
            length: top().set_num_format("[h]:mm:ss"),
        }
    }

    fn write(&self, sheet: &mut Worksheet, row: u32, column: u16, cell: &Cell) -> Result<(), XlsxError> {
        match cell {
            Cell::Empty => return Ok(()),
            Cell::Text(text) => sheet.write_string_with_format(row, column, shortened(text), &self.text)?,
            Cell::Phone(number) if number.is_erased() => {
                sheet.write_string_with_format(row, column, number.spaced(), &self.text)?
            }
            Cell::Phone(number) => sheet.write_string_with_format(row, column, number.e164(), &self.text)?,
            Cell::Number(number) => sheet.write_number(row, column, *number as f64)?,
            Cell::Instant(at) => match excel_instant(at) {
                Some(at) => sheet.write_datetime_with_format(row, column, &at, &self.instant)?,
                None => sheet.write_string_with_format(row, column, cell.written(), &self.text)?,
            },
            Cell::Length(ms) => {
                let days = seconds(*ms) as f64 / 86_400.0;
                sheet.write_number_with_format(row, column, days, &self.length)?
            }
        };
        Ok(())
    }
}

/// `None`: before 1900, where Excel has no time.
fn excel_instant(at: &DateTime) -> Option<ExcelDateTime> {
    let year = u16::try_from(at.year()).ok()?;
    let day = ExcelDateTime::from_ymd(year, at.month() as u8, at.day() as u8).ok()?;
    day.and_hms(at.hour() as u16, at.minute() as u8, at.second() as f64).ok()
}

/// `Content-Disposition` for a Russian name (RFC 5987), with an English one for programs that know no other.
pub fn attachment(name: &str, extension: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let mut encoded = String::new();
    for byte in name.bytes() {
        match plain(byte) {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("attachment; filename=\"perezvon.{extension}\"; filename*=UTF-8''{encoded}.{extension}")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use calamine::{Data, Reader, Xlsx};

    use super::*;

    const ATTACK: &str = "=cmd|' /C calc'!A0";

    fn sheet() -> Sheet {
        let at: DateTime = "2026-11-20T19:40:00".parse().unwrap();
        Sheet {
            title: "Журнал: звонки [ноябрь]".to_owned(),
            columns: ["Когда", "Телефон", "Имя", "Длит.", "Раз"].map(|title| Column::new(title, 12)).to_vec(),
            rows: vec![
                vec![
                    Cell::Instant(at),
                    Cell::Phone(PhoneNumber::parse("89281234567").unwrap()),
                    Cell::text(ATTACK),
                    Cell::Length(14_200),
                    Cell::Number(-3),
                ],
                vec![Cell::Instant(at), Cell::phone(None), Cell::text("Петрова; «А\"\nБ»"), Cell::Empty, Cell::Empty],
            ],
            cut: Some("Это не всё.".to_owned()),
        }
    }

    fn read_csv(file: &[u8]) -> Vec<Vec<String>> {
        let text = file.strip_prefix("\u{feff}".as_bytes()).expect("a byte order mark");
        let mut reader = csv::ReaderBuilder::new().delimiter(b';').has_headers(false).flexible(true).from_reader(text);
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn a_csv_reads_back_as_it_was_and_begins_no_formula() {
        let file = sheet().csv();
        let rows = read_csv(&file);
        assert_eq!(rows[0], ["Когда", "Телефон", "Имя", "Длит.", "Раз"]);
        assert_eq!(
            rows[1],
            ["20.11.2026 19:40", "'+79281234567", "'=cmd|' /C calc'!A0", "0:00:14", "-3"],
            "an apostrophe keeps a number a text"
        );
        assert_eq!(rows[2], ["20.11.2026 19:40", "номер скрыт", "Петрова; «А\"\nБ»", "", ""]);
        assert_eq!(rows[3], ["Это не всё."]);
        assert!(file.windows(2).any(|two| two == b"\r\n"));
    }

    /// Threat: a cell that reads as another one, for its text is turned round.
    #[test]
    fn text_of_a_cell_is_read_in_its_own_order() {
        assert_eq!(Cell::text("Анна\u{202e}1234"), Cell::Text("Анна1234".to_owned()));
        assert_eq!(Cell::text("\u{202e}"), Cell::Empty);
        assert_eq!(Cell::text("\u{202e}=1").written(), "'=1", "what is left may begin a formula");
    }

    #[test]
    fn every_beginning_of_a_formula_is_made_harmless() {
        for text in ["=1+1", "+7", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1"] {
            assert_eq!(harmless(text), format!("'{text}"));
        }
        for text in ["Петрова А.", "8 928", "'=1", "а=1", ""] {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn an_xlsx_has_typed_cells_and_no_formula() {
        let file = sheet().xlsx().unwrap();
        let mut workbook: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(file)).unwrap();
        let name = workbook.sheet_names()[0].clone();
        assert_eq!(name, "Журнал звонки ноябрь");
        let range = workbook.worksheet_range(&name).unwrap();
        let Some(Data::DateTime(at)) = range.get((1, 0)) else { panic!("an instant: {:?}", range.get((1, 0))) };
        let (year, month, day, hour, minute, ..) = at.to_ymd_hms_milli();
        assert_eq!((year, month, day, hour, minute), (2026, 11, 20, 19, 40));
        assert_eq!(range.get((1, 1)), Some(&Data::String("+79281234567".to_owned())));
        assert_eq!(range.get((1, 2)), Some(&Data::String(ATTACK.to_owned())));
        let Some(Data::DateTime(length)) = range.get((1, 3)) else { panic!("a length: {:?}", range.get((1, 3))) };
        assert!(length.is_duration() && (length.as_f64() * 86_400.0 - 14.0).abs() < 0.001);
        assert_eq!(range.get((1, 4)), Some(&Data::Float(-3.0)));
        let formulas = workbook.worksheet_formula(&name).unwrap();
        assert!(formulas.is_empty(), "a formula");
    }

    #[test]
    fn an_empty_sheet_and_the_strangest_texts_still_make_a_file() {
        let mut strange = Sheet { columns: vec![Column::new("", 1)], ..Sheet::default() };
        assert!(strange.xlsx().is_ok());
        strange.rows = vec![
            vec![Cell::text("я".repeat(100_000))],
            vec![Cell::text("\u{0}\u{1b}[2J\u{fffe}")],
            vec![Cell::Instant("-0001-01-01T00:00:00".parse().unwrap_or(DateTime::MIN))],
            vec![Cell::Length(-5)],
        ];
        assert!(strange.xlsx().is_ok());
        assert!(!strange.csv().is_empty());
    }

    #[test]
    fn a_russian_file_name_is_written_for_every_browser() {
        assert_eq!(
            attachment("Журнал 1", "csv"),
            "attachment; filename=\"perezvon.csv\"; filename*=UTF-8''%D0%96%D1%83%D1%80%D0%BD%D0%B0%D0%BB%201.csv"
        );
    }
}
