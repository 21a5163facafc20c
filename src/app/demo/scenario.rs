//! The callers of a Friday evening: on both lines, before and after 18:00, with everything that happens on a line.

use super::plan::{AtPrompt, AtSignal, CallPlan, Ending, Officer, Purpose};
use super::sounds::Sound;
use crate::time::{SignedDuration, Timestamp};

/// The numbers that ring.
#[derive(Clone, Debug)]
pub struct Numbers {
    pub staff: String,
    pub parents: String,
    /// What the published numbers are forwarded to.
    pub technical: String,
    /// A number that no line knows.
    pub unknown: String,
}

impl Default for Numbers {
    fn default() -> Self {
        let [staff, parents, technical, unknown] = ["+79288036355", "+79288328088", "+78712000100", "+78712000199"];
        Self {
            staff: staff.to_owned(),
            parents: parents.to_owned(),
            technical: technical.to_owned(),
            unknown: unknown.to_owned(),
        }
    }
}

const STAFF: &str = "Сотрудники";
const PARENTS: &str = "Родители";

/// The calls of the two hours and twenty minutes before `at`, in their order, the last one over by then. With `at` on
/// a Friday, 19:30, the first ten come before 18:00. In those an officer is rung only if the lines have phones to ring.
///
/// Subscribers 000-01-xx are made up; the foreign number is of the range kept free for drama in Berlin.
pub fn friday_evening(numbers: &Numbers, at: Timestamp) -> Vec<CallPlan> {
    let mut calls = in_hours(numbers, at);
    calls.extend(after_hours(numbers, at));
    calls.extend(odd_callers(numbers, at));
    calls.extend(odd_deliveries(numbers, at));
    calls.sort_by_key(|call| call.starts_at);
    calls
}

fn in_hours(numbers: &Numbers, at: Timestamp) -> Vec<CallPlan> {
    let evening = Evening { numbers, at };
    let mut calls = vec![
        evening.parents(140, "+79280000112", "сотрудник ответил").answered(95),
        evening.staff(136, "+79640000121", "не ответили, оставили сообщение").leaving(14_000, Ending::HangsUp),
        evening
            .parents(132, "+79280000133", "занято, оставили сообщение")
            .rung([Officer::Busy, Officer::Busy])
            .leaving(9_000, Ending::HangsUp),
        evening.parents(127, "+79380000144", "не ответили, сообщения нет").at_signal(AtSignal::HangsUp),
        evening.parents(121, "+79280000155", "не ответили, оставили сообщение").leaving(11_000, Ending::HangsUp),
        evening
            .staff(115, "+79640000166", "переадресация, сотрудник ответил")
            .forwarded_to(&numbers.technical)
            .answered(40),
        evening.parents(106, "+79280000155", "звонят снова, сотрудник ответил").answered(180),
        evening.staff(101, "+79280000177", "не дождались ответа").patient(12_000),
        evening
            .parents(97, "+79640000188", "номер сотрудника недоступен, оставили сообщение")
            .rung([Officer::Dead, Officer::NoAnswer])
            .leaving(7_000, Ending::HangsUp),
    ];
    let mut at_the_end = evening.parents(91, "+79380000199", "за полминуты до закрытия, оставили сообщение");
    at_the_end.starts_at = at_the_end.starts_at.map(|start| start + SignedDuration::from_secs(30));
    calls.push(at_the_end.leaving(12_000, Ending::HangsUp));
    calls
}

fn after_hours(numbers: &Numbers, at: Timestamp) -> Vec<CallPlan> {
    let evening = Evening { numbers, at };
    vec![
        evening.parents(89, "+79280000201", "оставили сообщение").leaving(21_000, Ending::HangsUp),
        evening.staff(86, "+79640000212", "повесили трубку во время приветствия").patient(5_000),
        evening.parents(82, "+79280000223", "промолчали после сигнала").at_signal(AtSignal::StaysSilent),
        evening.parents(78, "+79380000234", "закончили клавишей #").leaving(10_000, Ending::Presses('#')),
        evening
            .staff(74, "+79640000245", "пропустили приветствие, оставили сообщение")
            .at_prompt(AtPrompt::Skips('#'))
            .leaving(8_000, Ending::HangsUp),
        evening.parents(70, "+79280000256", "оставили сообщение").leaving(16_000, Ending::HangsUp),
        evening.parents(66, "+79280000256", "звонят снова, повесили трубку").patient(8_000),
        evening.parents(62, "+79280000256", "звонят снова, добавили").leaving(9_000, Ending::FallsSilent),
        evening.parents(58, "+79380000267", "говорили дольше, чем можно").leaving(200_000, Ending::HangsUp),
        evening
            .parents(52, "+79280000278", "переадресация, оставили сообщение")
            .forwarded_to(&numbers.technical)
            .leaving(13_000, Ending::HangsUp),
        evening.staff(49, "+79640000289", "повесили трубку по сигналу").at_signal(AtSignal::HangsUp),
    ]
}

fn odd_callers(numbers: &Numbers, at: Timestamp) -> Vec<CallPlan> {
    let evening = Evening { numbers, at };
    let hidden_number = "+79280000301".to_owned();
    vec![
        evening.parents(46, "anonymous", "оставили сообщение").leaving(12_000, Ending::HangsUp),
        evening
            .staff(43, "anonymous", "оставили сообщение и набрали номер")
            .at_prompt(AtPrompt::HearsOut)
            .at_prompt(AtPrompt::Types(format!("8{}#", &hidden_number[2..])))
            .leaving(9_000, Ending::Presses('#')),
        evening.parents(40, "anonymous", "промолчали").at_signal(AtSignal::StaysSilent),
        evening.parents(36, "+7378742833", "оставили сообщение").leaving(8_000, Ending::HangsUp),
        evening
            .call(33, "Неизвестная линия", &numbers.unknown, "+79280000323", "оставили сообщение")
            .leaving(11_000, Ending::HangsUp),
        evening.staff(30, "+493023125042", "из-за границы, оставили сообщение").leaving(15_000, Ending::HangsUp),
        evening.parents(27, "+79380000334", "очень короткое сообщение").leaving(1_200, Ending::HangsUp),
        evening
            .parents(24, "+79640000345", "вместо сообщения короткие гудки")
            .at_signal(AtSignal::Leaves { sound: Sound::BusyTone { length_ms: 8_000 }, then: Ending::HangsUp }),
    ]
}

fn odd_deliveries(numbers: &Numbers, at: Timestamp) -> Vec<CallPlan> {
    let evening = Evening { numbers, at };
    let mut twice = evening.parents(20, "+79280000401", "каждый запрос пришёл дважды, оставили сообщение");
    twice.delivery.twice = true;
    let mut reversed = evening.staff(16, "+79640000412", "уведомления пришли в обратном порядке, оставили сообщение");
    reversed.delivery.reversed = true;
    let mut lost = evening.parents(12, "+79280000423", "уведомления о звонке потеряны, оставили сообщение");
    lost.delivery.lost = vec![Purpose::Status];
    let last = evening.parents(7, "+79380000434", "оставили сообщение");
    [(twice, 10_000), (reversed, 12_000), (lost, 9_000), (last, 18_000)]
        .map(|(call, length_ms)| call.leaving(length_ms, Ending::HangsUp))
        .into()
}

/// Makes the calls of one evening, so many minutes before its end.
struct Evening<'a> {
    numbers: &'a Numbers,
    at: Timestamp,
}

impl Evening<'_> {
    fn call(&self, minutes_before: i64, line_title: &str, called: &str, caller: &str, story: &str) -> CallPlan {
        CallPlan {
            starts_at: Some(self.at - SignedDuration::from_mins(minutes_before)),
            line_title: line_title.to_owned(),
            story: story.to_owned(),
            ..CallPlan::new(caller, called)
        }
    }

    fn staff(&self, minutes_before: i64, caller: &str, story: &str) -> CallPlan {
        self.call(minutes_before, STAFF, &self.numbers.staff, caller, story)
    }

    fn parents(&self, minutes_before: i64, caller: &str, story: &str) -> CallPlan {
        self.call(minutes_before, PARENTS, &self.numbers.parents, caller, story)
    }
}
