//! Words for numbers, lengths and instants, as the school's people write them. All instants in the line's own zone.

pub(super) use crate::core::wording::plural;
use crate::core::wording::{day_and_month, on_weekday};
use crate::time::{Date, TimeZone, Timestamp, ToSpan, Weekday, Zoned, elapsed_ms};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// «5 обращений».
pub(super) fn counted(number: i64, forms: [&str; 3]) -> String {
    format!("{number}\u{a0}{}", plural(number, forms))
}

/// «0:14», «12:05», «1:02:05»: the length of a message or talk. Part seconds are rounded, so nothing audible is «0:00».
pub(super) fn length(ms: i64) -> String {
    let seconds = if ms > 0 { ((ms + 500) / 1000).max(1) } else { 0 };
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// «40 мин», «14 ч 20 мин», «61 ч», «8 дней»: the longer, the rougher.
pub(super) fn span(ms: i64) -> String {
    match ms {
        _ if ms < MINUTE_MS => "меньше минуты".to_owned(),
        _ if ms < HOUR_MS => format!("{}\u{a0}мин", ms / MINUTE_MS),
        _ if ms < DAY_MS => match ms % HOUR_MS / MINUTE_MS {
            0 => format!("{}\u{a0}ч", ms / HOUR_MS),
            minutes => format!("{}\u{a0}ч {minutes}\u{a0}мин", ms / HOUR_MS),
        },
        _ if ms < 5 * DAY_MS => format!("{}\u{a0}ч", ms / HOUR_MS),
        _ => counted(ms / DAY_MS, ["день", "дня", "дней"]),
    }
}

/// «2 мин назад», «только что».
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    match elapsed_ms(at, now) {
        ..MINUTE_MS => "только что".to_owned(),
        passed => format!("{} назад", span(passed)),
    }
}

/// «пн».
pub(super) fn short_weekday(day: Weekday) -> &'static str {
    ["пн", "вт", "ср", "чт", "пт", "сб", "вс"][day.to_monday_zero_offset() as usize]
}

/// «понедельник».
pub(super) fn weekday(day: Weekday) -> &'static str {
    ["понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье"]
        [day.to_monday_zero_offset() as usize]
}

/// The wall clock of a line at the moment of a request.
pub(super) struct Wall<'z> {
    zone: &'z TimeZone,
    pub now: Timestamp,
}

impl<'z> Wall<'z> {
    pub fn new(zone: &'z TimeZone, now: Timestamp) -> Self {
        Self { zone, now }
    }

    pub fn local(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }

    pub fn today(&self) -> Date {
        self.local(self.now).date()
    }

    /// The midnight with which this day began.
    pub fn midnight(&self) -> Timestamp {
        self.local(self.now).start_of_day().map_or(self.now, |start| start.timestamp())
    }

    /// «9:05».
    pub fn clock(&self, at: Timestamp) -> String {
        let at = self.local(at);
        format!("{}:{:02}", at.hour(), at.minute())
    }

    /// «21.11», with the year where it is another one.
    pub fn day(&self, at: Timestamp) -> String {
        let date = self.local(at).date();
        match date.year() == self.today().year() {
            true => format!("{:02}.{:02}", date.day(), date.month()),
            false => format!("{:02}.{:02}.{}", date.day(), date.month(), date.year()),
        }
    }

    /// The day as people name it: «сегодня», «вчера», «завтра».
    fn near(&self, at: Timestamp) -> Option<&'static str> {
        let (date, today) = (self.local(at).date(), self.today());
        [(0, "сегодня"), (-1, "вчера"), (1, "завтра")]
            .into_iter()
            .find(|(days, _)| today.checked_add(days.days()).is_ok_and(|day| day == date))
            .map(|(_, word)| word)
    }

    /// «сегодня, 9:05», «вчера, 19:40», «21.11, 19:40».
    pub fn moment(&self, at: Timestamp) -> String {
        format!("{}, {}", self.near(at).map_or_else(|| self.day(at), str::to_owned), self.clock(at))
    }

    /// «9:05» today, «пт 20.11, 19:40» on other days: for lists, where the weekday tells more than «вчера».
    pub fn listed(&self, at: Timestamp) -> String {
        match self.local(at).date() == self.today() {
            true => format!("сегодня, {}", self.clock(at)),
            false => format!("{}\u{a0}{}, {}", short_weekday(self.local(at).weekday()), self.day(at), self.clock(at)),
        }
    }

    /// «20.11.2026, 19:40»: where nothing may be guessed.
    pub fn exact(&self, at: Timestamp) -> String {
        let local = self.local(at);
        format!("{:02}.{:02}.{}, {}", local.day(), local.month(), local.year(), self.clock(at))
    }

    /// «19:40:05».
    pub fn seconds(&self, at: Timestamp) -> String {
        format!("{}:{:02}", self.clock(at), self.local(at).second())
    }

    /// «до 18:00», «до вт 24.11, 18:00».
    pub fn until(&self, at: Timestamp) -> String {
        match self.local(at).date() == self.today() {
            true => format!("до\u{a0}{}", self.clock(at)),
            false => format!("до\u{a0}{}", self.listed(at)),
        }
    }

    /// «ждёт 14 ч 20 мин».
    pub fn waiting(&self, since: Timestamp) -> String {
        match elapsed_ms(since, self.now) {
            ..MINUTE_MS => "только что".to_owned(),
            waited => format!("ждёт {}", span(waited)),
        }
    }

    /// «сегодня, понедельник 23 ноября»; another day «в понедельник, 23 ноября».
    pub fn working_day(&self, at: Timestamp) -> String {
        let date = self.local(at).date();
        match date == self.today() {
            true => format!("сегодня, {} {}", weekday(date.weekday()), day_and_month(date)),
            false => self.named_day(at),
        }
    }

    /// «в понедельник, 23 ноября», as callers are told.
    pub fn named_day(&self, at: Timestamp) -> String {
        let date = self.local(at).date();
        format!("{}, {}", on_weekday(date.weekday()), day_and_month(date))
    }

    /// «завтра, 9:00», «пн 23.11, 9:00»: a day to come.
    pub fn coming(&self, at: Timestamp) -> String {
        if self.near(at).is_some() { self.moment(at) } else { self.listed(at) }
    }

    /// «в 9:00» today, «завтра, в 9:00», «в понедельник, 23 ноября, в 9:00».
    pub fn start(&self, at: Timestamp) -> String {
        let clock = format!("в {}", self.clock(at));
        match self.near(at) {
            Some("сегодня") => clock,
            Some(day) => format!("{day} {clock}"),
            None => format!("{}, {clock}", self.working_day(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBRASHCHENIE: [&str; 3] = ["обращение", "обращения", "обращений"];

    #[test]
    fn nouns_follow_their_numbers() {
        for (number, word) in [
            (0, "обращений"),
            (1, "обращение"),
            (2, "обращения"),
            (4, "обращения"),
            (5, "обращений"),
            (11, "обращений"),
            (12, "обращений"),
            (14, "обращений"),
            (21, "обращение"),
            (22, "обращения"),
            (111, "обращений"),
            (121, "обращение"),
        ] {
            assert_eq!(plural(number, OBRASHCHENIE), word, "{number}");
        }
    }

    #[test]
    fn lengths_are_minutes_and_seconds_and_no_sound_is_zero() {
        for (ms, text) in
            [(0, "0:00"), (1, "0:01"), (14_400, "0:14"), (14_500, "0:15"), (725_000, "12:05"), (3_725_000, "1:02:05")]
        {
            assert_eq!(length(ms), text, "{ms}");
        }
    }

    #[test]
    fn the_longer_somebody_waits_the_rougher_it_is_told() {
        for (ms, text) in [
            (59_999, "меньше минуты"),
            (MINUTE_MS, "1 мин"),
            (40 * MINUTE_MS, "40 мин"),
            (14 * HOUR_MS + 20 * MINUTE_MS, "14 ч 20 мин"),
            (3 * HOUR_MS, "3 ч"),
            (61 * HOUR_MS + 59 * MINUTE_MS, "61 ч"),
            (5 * DAY_MS, "5 дней"),
            (21 * DAY_MS, "21 день"),
        ] {
            assert_eq!(span(ms).replace('\u{a0}', " "), text);
        }
    }

    #[test]
    fn days_are_named_by_the_calendar_of_the_line() {
        let zone = TimeZone::get("Europe/Moscow").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let wall = Wall::new(&zone, at("2026-11-23T09:12:00+03:00"));
        let plain = |text: String| text.replace('\u{a0}', " ");
        for (instant, moment, listed, until) in [
            ("2026-11-23T18:00:00+03:00", "сегодня, 18:00", "сегодня, 18:00", "до 18:00"),
            ("2026-11-22T21:30:00Z", "сегодня, 0:30", "сегодня, 0:30", "до 0:30"),
            ("2026-11-22T19:40:00+03:00", "вчера, 19:40", "вс 22.11, 19:40", "до вс 22.11, 19:40"),
            ("2026-11-24T09:00:00+03:00", "завтра, 9:00", "вт 24.11, 9:00", "до вт 24.11, 9:00"),
            ("2026-11-20T19:40:00+03:00", "20.11, 19:40", "пт 20.11, 19:40", "до пт 20.11, 19:40"),
            ("2025-12-31T09:05:00+03:00", "31.12.2025, 9:05", "ср 31.12.2025, 9:05", "до ср 31.12.2025, 9:05"),
        ] {
            let instant = at(instant);
            assert_eq!(wall.moment(instant), moment);
            assert_eq!(plain(wall.listed(instant)), listed);
            assert_eq!(plain(wall.until(instant)), until);
        }
        assert_eq!(plain(wall.waiting(at("2026-11-20T19:40:00+03:00"))), "ждёт 61 ч");
        assert_eq!(wall.waiting(at("2026-11-23T09:11:01+03:00")), "только что");
        assert_eq!(wall.coming(at("2026-11-24T09:00:00+03:00")), "завтра, 9:00");
        assert_eq!(plain(wall.coming(at("2026-11-30T09:00:00+03:00"))), "пн 30.11, 9:00");
        assert_eq!(wall.working_day(at("2026-11-23T18:00:00+03:00")), "сегодня, понедельник 23 ноября");
        assert_eq!(wall.working_day(at("2026-11-24T18:00:00+03:00")), "во вторник, 24 ноября");
        assert_eq!(wall.start(at("2026-11-24T09:00:00+03:00")), "завтра в 9:00");
        assert_eq!(wall.start(at("2026-11-30T09:00:00+03:00")), "в понедельник, 30 ноября, в 9:00");
    }
}
