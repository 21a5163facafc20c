//! A month as the reports read it: who left word, who was called back in time, when people call.

use perezvon::core::callback::{Action, AttemptOutcome, Channel, Notes, Reason};
use perezvon::core::line::LineId;
use perezvon::core::officer::Actor;
use perezvon::core::phone::PhoneNumber;
use perezvon::core::report::{Ending, Entry, Kept, Month, heat};
use perezvon::store::NewCallback;
use perezvon::time::Timestamp;

use crate::harness::{App, Form, at, friday, monday, stories};

fn madina() -> Actor {
    Actor::officer(1, "Мадина И.")
}

fn vain() -> Action {
    Action::Attempt { outcome: AttemptOutcome::NoAnswer, note: String::new(), next_at: None }
}

fn done() -> Action {
    Action::Done { note: String::new() }
}

/// A caller who hung up in the greeting. The callback he opened.
async fn caller(app: &App, sid: &str, line: &str, when: Timestamp) -> i64 {
    app.clock.set(when);
    let number = format!("+7928{:07}", sid.bytes().fold(0u32, |sum, byte| sum * 31 % 9_999_991 + u32::from(byte)));
    app.post("status", &Form::call(sid).to(line).from(&number).status("completed")).await;
    app.leave_the_jobs().await;
    app.call(sid).await.callback_id.expect("a visible caller is called back")
}

async fn month(app: &App, month: &str, line: Option<&str>) -> Vec<Entry> {
    let zone = app.lines().default_calendar().time_zone().clone();
    let (from, to) = month.parse::<Month>().unwrap().bounds(&zone);
    let reported = app.store().reported(from, to, line.map(LineId::new).as_ref()).await.unwrap();
    assert!(!reported.cut);
    reported.entries
}

stories! {
    async fn the_first_attempt_or_the_closing_by_the_end_of_the_promised_period_keeps_the_promise(app) {
        let (parents, staff) = (crate::harness::PARENTS, crate::harness::STAFF);
        let tried = caller(app, "CA1", parents, friday("19:40")).await;
        let closed = caller(app, "CA2", parents, friday("20:00")).await;
        let late = caller(app, "CA3", staff, friday("21:00")).await;
        let never = caller(app, "CA4", staff, friday("22:00")).await;
        app.clock.set(monday("09:30"));
        app.act(tried, &madina(), vain()).await.unwrap();
        app.clock.set(monday("18:00"));
        app.act(closed, &madina(), done()).await.unwrap();
        app.clock.set(at("2026-11-24T09:00:00+03:00"));
        app.act(late, &madina(), Action::Decline { reason: Reason::NotARequest, note: String::new() }).await.unwrap();
        app.act(tried, &madina(), done()).await.unwrap();

        let entries = month(app, "2026-11", None).await;
        let told: Vec<_> = entries.iter().map(|entry| (entry.first.as_ref().map(|first| first.at), entry.ending)).collect();
        assert_eq!(told, [
            (Some(monday("09:30")), Ending::Done),
            (Some(monday("18:00")), Ending::Done),
            (Some(at("2026-11-24T09:00:00+03:00")), Ending::Declined(Reason::NotARequest)),
            (None, Ending::Open),
        ]);
        assert_eq!(Kept::of(&entries, app.now()), Kept { kept: 2, broken: 2, undecided: 0 });
        assert_eq!(Kept::of(&entries, monday("18:00")).undecided, 1, "{never} is due at 18:00");
        assert_eq!(entries[0].first.as_ref().unwrap().by, madina());
        let calendar = &app.lines().default_calendar().clone();
        assert_eq!(entries[0].waited_ms(calendar, app.now()), 30 * 60_000);

        let of_staff = month(app, "2026-11", Some("staff")).await;
        assert_eq!(Kept::of(&of_staff, app.now()), Kept { kept: 0, broken: 2, undecided: 0 });
    }

    async fn a_step_taken_back_was_no_attempt_and_claiming_is_none(app) {
        let id = caller(app, "CA1", crate::harness::PARENTS, friday("19:40")).await;
        app.clock.set(monday("09:05"));
        app.act(id, &madina(), Action::Claim).await.unwrap();
        assert_eq!(month(app, "2026-11", None).await[0].first, None);
        app.act(id, &madina(), done()).await.unwrap();
        app.store().undo(id, None, &madina(), app.now()).await.unwrap();
        assert_eq!((&month(app, "2026-11", None).await[0].first, month(app, "2026-11", None).await[0].ending), (&None, Ending::Open));
        app.clock.set(monday("10:00"));
        app.act(id, &madina(), Action::Exceptional { note: String::new() }).await.unwrap();
        let entry = month(app, "2026-11", None).await.remove(0);
        assert_eq!((entry.first.unwrap().at, entry.ending), (monday("10:00"), Ending::Exceptional));
    }

    async fn a_month_has_its_own_callers_alone_up_to_the_midnights_of_the_school(app) {
        let parents = crate::harness::PARENTS;
        caller(app, "CA1", parents, at("2026-10-31T23:59:59+03:00")).await;
        caller(app, "CA2", parents, at("2026-11-01T00:00:00+03:00")).await;
        caller(app, "CA3", parents, at("2026-11-30T23:59:59+03:00")).await;
        caller(app, "CA4", parents, at("2026-12-01T00:00:00+03:00")).await;
        for (text, count) in [("2026-09", 0), ("2026-10", 1), ("2026-11", 2), ("2026-12", 1)] {
            assert_eq!(month(app, text, None).await.len(), count, "{text}");
        }
    }

    async fn who_came_in_person_left_no_message(app) {
        app.clock.set(monday("10:00"));
        let new = NewCallback {
            line: LineId::new("parents"),
            callback_number: PhoneNumber::parse("89280000009").ok(),
            channel: Channel::InPerson,
            notes: Notes::default(),
        };
        app.store().register_by_hand(new, &madina(), &app.lines(), app.now()).await.unwrap();
        assert!(month(app, "2026-11", None).await.is_empty());
    }

    async fn calls_are_counted_by_the_quarter_in_which_they_began_and_by_line(app) {
        let (parents, staff) = (crate::harness::PARENTS, crate::harness::STAFF);
        for (sid, line, when) in [
            ("CA1", parents, friday("19:40")),
            ("CA2", parents, friday("19:44:59")),
            ("CA3", staff, friday("19:45")),
            ("CA4", staff, friday("20:00")),
        ] {
            caller(app, sid, line, when).await;
        }
        let (from, to) = (at("2026-11-01T00:00:00+03:00"), at("2026-12-01T00:00:00+03:00"));
        let all = app.store().calls_by_quarter(from, to, None).await.unwrap();
        assert_eq!(all, [(friday("19:30"), 2), (friday("19:45"), 1), (friday("20:00"), 1)]);
        let zone = app.lines().default_calendar().time_zone().clone();
        let week = heat(&all, &zone);
        assert_eq!((week[4][19], week[4][20], week.iter().flatten().sum::<i64>()), (3, 1, 4));
        let of_staff = app.store().calls_by_quarter(from, to, Some(&LineId::new("staff"))).await.unwrap();
        assert_eq!(of_staff, [(friday("19:45"), 1), (friday("20:00"), 1)]);
        assert!(app.store().calls_by_quarter(to, at("2027-01-01T00:00:00+03:00"), None).await.unwrap().is_empty());
    }
}
