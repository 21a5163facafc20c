//! The account of an evening, for the terminal: one line a call, in Russian.

use super::plan::{AtSignal, CallReport, Ended};
use crate::core::phone::PhoneNumber;
use crate::time::TimeZone;

/// «19:02 · Родители · 8 928 000-01-12 · оставили сообщение, 14 с», in the zone of the school.
pub fn tell(reports: &[CallReport], zone: &TimeZone) -> String {
    reports.iter().map(|report| tell_one(report, zone)).collect()
}

fn tell_one(report: &CallReport, zone: &TimeZone) -> String {
    let plan = &report.plan;
    let time = report.started_at.to_zoned(zone.clone()).strftime("%H:%M").to_string();
    let caller = PhoneNumber::parse(&plan.caller).map_or("номер скрыт".to_owned(), |number| number.spaced());
    let mut line = format!("{time} · {} · {caller} · {}", plan.line_title, plan.story);
    for recording in report.recordings.iter().filter(|recording| recording.absent.is_none()) {
        line.push_str(&format!(", {} с", recording.length_ms.div_ceil(1_000)));
    }
    if let Some(but) = what_went_otherwise(report) {
        line.push_str(&format!(" — {but}"));
    }
    line.push('\n');
    line
}

/// Where the evening did not keep to its plan: the account may not tell what did not happen.
fn what_went_otherwise(report: &CallReport) -> Option<String> {
    let leaves_a_message = report.plan.at_signals.iter().any(|signal| matches!(signal, AtSignal::Leaves { .. }));
    match report.ended {
        Ended::Failed { code } => Some(format!("не удалось: служба не ответила (ошибка {code})")),
        Ended::Looped => Some("не удалось: разговор пошёл по кругу".to_owned()),
        _ if !report.plan.officers.is_empty() && !report.verbs.iter().any(|verb| verb == "Dial") => {
            Some("сотруднику не звонили".to_owned())
        }
        _ if leaves_a_message && report.recordings.is_empty() => Some("до сигнала не дошло".to_owned()),
        Ended::CallerHungUp | Ended::ServiceHungUp | Ended::NothingLeft => None,
    }
}
