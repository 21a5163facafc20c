//! Letters by e-mail: the list before the day, what is left before its end, what is overdue or broken. Each once.

use perezvon::core::callback::{Action, Notes};
use perezvon::core::officer::Actor;
use perezvon::jobs::try_mail;
use perezvon::store::{MailKind, MailPlan, NewMail};
use perezvon::time::SignedDuration;

use crate::harness::{App, MailServer, Manners, at, friday, monday, stories};

/// Starts a mail server and lets the house write to it.
async fn with_mail(app: &App, further: &str) -> MailServer {
    let server = MailServer::start().await;
    write_to(app, &server, further).await;
    server
}

async fn write_to(app: &App, server: &MailServer, further: &str) {
    let (address, further) = (server.address, further.to_owned());
    let to = if further.contains("to = ") { "" } else { "to = [\"Директор <director@school.example>\"]" };
    app.restart(|setup| {
        setup.tables = format!(
            r#"
            [mail]
            smtp = "smtp://{address}"
            from = "Перезвон <perezvon@school.example>"
            {to}
            alarms_to = ["admin@school.example"]
            {further}
            "#
        );
    })
    .await;
}

/// Two messages on Friday evening, and the sound of them is not what this story is about.
async fn two_messages(app: &App) {
    app.clock.set(friday("19:40"));
    app.message_from("CA1", "+79281234567").await;
    app.clock.set(friday("21:05"));
    app.message_from("CA2", "+79631204517").await;
    app.leave_the_jobs().await;
}

/// Runs the jobs that wait, whenever they are planned for.
async fn until_sent(app: &App) {
    app.run_all_jobs().await;
}

/// The rows of an XLSX file, as texts.
fn table(bytes: Vec<u8>) -> Vec<Vec<String>> {
    let mut workbook: calamine::Xlsx<_> = calamine::Reader::new(std::io::Cursor::new(bytes)).expect("an XLSX file");
    let range = calamine::Reader::worksheet_range(&mut workbook, "Перезвонить").expect("its sheet");
    range.rows().map(|row| row.iter().map(ToString::to_string).collect()).collect()
}

fn mina() -> Actor {
    Actor { id: "officer 1".to_owned(), name: "Мадина И.".to_owned() }
}

stories! {
    async fn nobody_is_written_to_unless_the_school_has_asked_for_it(app) {
        two_messages(app).await;
        app.clock.set(monday("08:55"));
        app.write_letters().await;
        assert_eq!((app.count("mail").await, app.count("mail_plan").await), (0, 0));
    }

    async fn five_minutes_before_the_day_a_letter_says_how_many_wait_and_since_when(app) {
        let server = with_mail(app, "").await;
        two_messages(app).await;
        app.clock.set(monday("08:54:59"));
        app.write_letters().await;
        assert_eq!(server.connections(), 0);
        app.clock.set(monday("08:55"));
        app.write_letters().await;
        let letter = server.only();
        assert_eq!(letter.to, ["director@school.example"]);
        assert_eq!(letter.subject(), "К 9:00: 2 обращения, первое с пятницы 19:40");
        let text = letter.text().replace("\r\n", "\n");
        assert_eq!(
            text.trim_end(),
            "К 9:00: 2 обращения, первое с пятницы 19:40.\n\
             Понедельник, 23 ноября. Рабочее время с 9:00 до 18:00.\n\
             Список: https://calls.example.org/callbacks\n\
             \n\
             1. Родители, обращение пт 20.11, 19:40, срок сегодня, 18:00, есть сообщение\n\
             2. Родители, обращение пт 20.11, 21:05, срок сегодня, 18:00, есть сообщение\n\
             \n\
             Номеров, имён и текстов в письме нет: они в списке. Время московское."
        );
        assert_eq!(letter.header("From"), "\"Перезвон\" <perezvon@school.example>".replace('"', ""));
        assert_eq!(letter.header("Auto-Submitted"), "auto-generated");
        assert!(letter.header("Date").starts_with("Mon, 23 Nov 2026 05:55:00"), "{}", letter.header("Date"));
        let (name, bytes) = letter.attachment().expect("the list as a table");
        assert_eq!(name, "perezvon-2026-11-23.xlsx");
        let rows = table(bytes);
        assert_eq!(rows.len(), 3);
        assert!(!rows[0].contains(&"Телефон".to_owned()), "{rows:?}");
        assert_eq!(rows[1][..3], ["1", "", "Родители"]);
        app.clock.set(monday("09:30"));
        app.write_letters().await;
        assert_eq!(server.received().len(), 1, "each day has one");
    }

    /// Who was put off to the very end of the day stood in the letter's list and not in its number.
    async fn a_letter_counts_whom_it_lists(app) {
        two_messages(app).await;
        let (id, until) = (app.callbacks().await[0].callback.id, monday("18:00"));
        app.sql(&format!(
            "UPDATE callback SET state = 'later', until_at = {} WHERE id = {id}",
            until.as_millisecond()
        )).await;
        let count = app.store().waiting_until(until).await.unwrap();
        let standing = app.store().standing(None, until, until).await.unwrap();
        assert_eq!((count.count, count.put_off), (2, 0));
        assert_eq!((standing.waiting - standing.put_off, standing.put_off), (count.count, count.put_off));
    }

    async fn nobody_waits_and_nobody_is_written_to_that_day_not_even_about_who_calls_at_once_afterwards(app) {
        let server = with_mail(app, "").await;
        app.clock.set(monday("08:55"));
        app.write_letters().await;
        app.clock.set(monday("08:57"));
        app.message_from("CA1", "+79281234567").await;
        app.leave_the_jobs().await;
        app.write_letters().await;
        assert_eq!((server.connections(), app.count("mail").await), (0, 0));
    }

    async fn numbers_names_and_texts_stand_in_letters_only_if_the_school_allows_it(app) {
        let server = with_mail(app, "").await;
        two_messages(app).await;
        let id = app.callbacks().await[0].callback.id;
        let notes = Notes { summary: Some("Не видно оценок\r\nBcc: x@example.org".to_owned()), ..Notes::default() };
        app.act_with(id, &mina(), Action::Describe, notes).await.unwrap();
        app.store().raise_alarm("unknown_line", "+78712000199", "Звонок на номер «+78712000199».", app.now()).await.unwrap();
        app.clock.set(monday("08:55"));
        app.write_letters().await;
        let told = server.received();
        assert_eq!(told.len(), 2, "{told:#?}");
        for letter in &told {
            let all = format!("{} {}", letter.subject(), letter.text());
            for personal in ["123-45-67", "9281234567", "оценок", "78712000199"] {
                assert!(!all.contains(personal), "{personal} in {all}");
            }
        }
        write_to(app, &server, "personal_data = true").await;
        app.clock.set(at("2026-11-24T08:55:00+03:00"));
        app.write_letters().await;
        let digest = server.received().into_iter().find(|letter| letter.subject().contains("с пятницы") && letter.text().contains("123"));
        let digest = digest.expect("Tuesday's letter");
        let text = digest.text();
        assert!(text.contains("8 928 123-45-67, № 2026-000001, Родители"), "{text}");
        assert!(text.contains("Не видно оценок  Bcc: x@example.org"), "{text}");
        assert!(text.contains("не пересылайте"), "{text}");
        let rows = table(digest.attachment().expect("a table").1);
        assert_eq!((rows[0][7].as_str(), rows[1][7].as_str()), ("Телефон", "8 928 123-45-67"));
    }

    async fn half_an_hour_before_the_end_a_letter_says_what_is_left(app) {
        let server = with_mail(app, "evening = \"17:30\"\nmorning = \"08:55\"").await;
        two_messages(app).await;
        app.clock.set(monday("10:00"));
        let id = app.callbacks().await[0].callback.id;
        app.act(id, &mina(), Action::Claim).await.unwrap();
        app.act(id, &mina(), Action::Done { note: String::new() }).await.unwrap();
        app.clock.set(monday("17:30"));
        app.write_letters().await;
        assert_eq!(server.only().subject(), "Не закрыто: 1");
        let left = app.callback().await.id;
        app.act(left, &mina(), Action::Claim).await.unwrap();
        app.act(left, &mina(), Action::Done { note: String::new() }).await.unwrap();
        app.clock.set(at("2026-11-24T17:30:00+03:00"));
        app.write_letters().await;
        assert_eq!(server.received().len(), 1, "nothing is left on Tuesday");
    }

    async fn weekends_have_no_letters(app) {
        let server = with_mail(app, "").await;
        two_messages(app).await;
        for time in ["2026-11-21T08:55:00+03:00", "2026-11-21T17:30:00+03:00", "2026-11-22T08:56:00+03:00"] {
            app.clock.set(at(time));
            app.write_letters().await;
        }
        assert_eq!(server.connections(), 0);
    }

    async fn a_restart_between_writing_and_sending_neither_loses_nor_doubles_the_letter(app) {
        let server = with_mail(app, "").await;
        two_messages(app).await;
        app.clock.set(monday("08:55"));
        app.worker().plan_mail().await.unwrap();
        assert_eq!(server.connections(), 0);
        app.restart(|_| ()).await;
        app.write_letters().await;
        app.restart(|_| ()).await;
        app.write_letters().await;
        assert_eq!(server.only().subject(), "К 9:00: 2 обращения, первое с пятницы 19:40");
        assert_eq!(app.text("SELECT body FROM mail").await, "", "what was sent is not kept");
    }

    async fn a_server_that_hangs_up_gets_the_letter_again_and_readers_find_one(app) {
        let server = with_mail(app, "").await;
        two_messages(app).await;
        server.behave(&[Manners::HangsUpBeforeTheLetter, Manners::HangsUpAfterTheLetter, Manners::PutsOff]);
        app.clock.set(monday("08:55"));
        app.worker().plan_mail().await.unwrap();
        until_sent(app).await;
        assert_eq!(server.connections(), 4);
        let received = server.received();
        assert_eq!(received.len(), 2, "its answer was lost once");
        assert_eq!(received[0].header("Message-ID"), received[1].header("Message-ID"));
        assert!(received[0].header("Message-ID").ends_with("@school.example>"));
        assert_eq!(received[0].raw, received[1].raw, "the same letter to the byte");
        assert_eq!(server.letters().len(), 1);
    }

    /// What the server has said «taken» to is sent, whatever happens to the connection afterwards.
    async fn a_server_that_hangs_up_after_taking_the_letter_gets_no_second_one(app) {
        let server = with_mail(app, "").await;
        two_messages(app).await;
        server.behave(&[Manners::HangsUpAtTheParting]);
        app.clock.set(monday("08:55"));
        app.write_letters().await;
        app.run_all_jobs().await;
        assert_eq!((server.received().len(), server.connections()), (1, 1));
    }

    async fn two_workers_write_one_letter(app) {
        let server = with_mail(app, "").await;
        two_messages(app).await;
        app.clock.set(monday("08:55"));
        let (second_store, second) = app.second_house().await;
        let first = app.worker();
        let (one, two) = tokio::join!(first.plan_mail(), second.plan_mail());
        one.unwrap();
        two.unwrap();
        let (one, two) = tokio::join!(first.run_due(), second.run_due());
        assert_eq!(one.unwrap() + two.unwrap(), 1);
        server.only();
        drop(second);
        second_store.close().await;
    }

    async fn two_houses_that_wrote_the_same_letter_keep_one(app) {
        with_mail(app, "").await;
        let mail = NewMail { recipient: "a@b.example".to_owned(), subject: "К".to_owned(), body: "К".to_owned(), attachment: None };
        let plan = MailPlan {
            kind: MailKind::Morning,
            day: "2026-11-23".to_owned(),
            pause: SignedDuration::ZERO,
            mails: vec![mail],
            overdue: Vec::new(),
            alarms: Vec::new(),
            alarms_over: Vec::new(),
        };
        let (second_store, second) = app.second_house().await;
        let first = app.store();
        let plans = (0..8).map(|n| {
            let store = if n % 2 == 0 { first.clone() } else { second_store.clone() };
            let (plan, now) = (plan.clone(), app.now());
            async move { store.plan_mail(plan, now).await.unwrap() }
        });
        let won = futures_util::future::join_all(plans).await.into_iter().filter(|won| *won).count();
        assert_eq!((won, app.count("mail").await, app.count("job").await), (1, 1, 1));
        app.leave_the_jobs().await;
        drop((second, first));
        second_store.close().await;
    }

    async fn what_becomes_overdue_is_told_once_and_collected_by_the_hour(app) {
        let server = with_mail(app, "to = []").await;
        two_messages(app).await;
        app.clock.set(monday("18:00"));
        app.write_letters().await;
        assert_eq!(server.connections(), 0, "the end of the period itself is in time");
        app.clock.set(monday("18:01"));
        app.write_letters().await;
        let letter = server.only();
        assert_eq!((letter.subject().as_str(), &letter.to[..]), ("Просрочено: 2", &["admin@school.example".to_owned()][..]));
        assert!(letter.text().contains("1. Родители, обращение пт 20.11, 19:40, срок сегодня, 18:00"), "{}", letter.text());
        app.clock.set(monday("19:30"));
        app.message_from("CA3", "+79280000003").await;
        app.leave_the_jobs().await;
        app.clock.set(at("2026-11-24T18:01:00+03:00"));
        app.write_letters().await;
        let all = server.received();
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].subject(), "Просрочено: 1", "the first two were told");
        // Another one, half an hour later, waits for the hour to pass.
        let later = app.now().as_millisecond() + 60_000;
        app.sql(&format!("UPDATE callback SET due_at = {later} WHERE id = (SELECT MAX(id) FROM callback)")).await;
        app.sql("DELETE FROM overdue_told WHERE callback_id = (SELECT MAX(id) FROM callback)").await;
        app.clock.advance(SignedDuration::from_mins(59));
        app.write_letters().await;
        assert_eq!(server.received().len(), 2);
        app.clock.advance(SignedDuration::from_mins(1));
        app.write_letters().await;
        assert_eq!(server.received().len(), 3);
    }

    async fn a_fault_is_told_once_and_so_is_its_end(app) {
        let server = with_mail(app, "to = []").await;
        let store = app.store();
        store.raise_alarm("no_space", "0", "Нет места для записей.", app.now()).await.unwrap();
        app.write_letters().await;
        app.write_letters().await;
        let letter = server.only();
        assert_eq!(letter.subject(), "Нужно внимание: 1");
        assert!(letter.text().contains("— сегодня, 19:30: Нет места для записей."), "{}", letter.text());
        app.advance_minutes(11);
        app.write_letters().await;
        assert_eq!(server.received().len(), 1);
        store.clear_alarm("no_space", "0", app.now()).await.unwrap();
        store.raise_alarm("recording_lost", "7", "Запись получить не удалось.", app.now()).await.unwrap();
        app.write_letters().await;
        app.advance_minutes(11);
        app.write_letters().await;
        let all = server.received();
        assert_eq!((all.len(), all[1].subject().as_str()), (2, "Нужно внимание: 1, снова в порядке: 1"));
    }

    /// A fault that comes and goes would otherwise write all night.
    async fn a_fault_that_comes_and_goes_is_collected(app) {
        let server = with_mail(app, "to = []").await;
        for _ in 0..30 {
            app.store().raise_alarm("no_space", "0", "Нет места.", app.now()).await.unwrap();
            app.write_letters().await;
            app.store().clear_alarm("no_space", "0", app.now()).await.unwrap();
            app.advance_minutes(1);
            app.write_letters().await;
        }
        assert!((2..=4).contains(&server.received().len()), "{}", server.received().len());
    }

    async fn a_mail_server_that_never_takes_it_is_given_up_after_a_day_with_an_alarm_that_is_not_mailed(app) {
        let server = with_mail(app, "").await;
        two_messages(app).await;
        server.behave(&[Manners::Refuses; 100]);
        app.clock.set(monday("08:55"));
        app.worker().plan_mail().await.unwrap();
        app.run_all_jobs().await;
        assert!(app.now() > at("2026-11-24T08:55:00+03:00"));
        assert_eq!((server.received().len(), app.alarm_kinds().await), (0, vec!["mail".to_owned()]));
        let told = app.alarms().await[0].told.clone();
        assert!(told.contains("отказом 550"), "{told}");
        assert_eq!(app.text("SELECT body FROM mail").await, "");
        let (raised, over) = app.store().alarms_untold().await.unwrap();
        assert_eq!((raised.len(), over.len()), (0, 0));
    }

    async fn the_password_is_shown_to_the_server_and_a_refusal_is_told_in_words(app) {
        let server = with_mail(app, "user = \"perezvon\"\npassword = \"s3cret\"").await;
        two_messages(app).await;
        server.behave(&[Manners::KnowsNobody, Manners::KnowsNobody, Manners::Good]);
        let settings = app.worker().mail.clone().expect("mail is configured");
        let refused = try_mail(&settings).await.unwrap_err();
        assert!(refused.contains("не принял имя или пароль") && !refused.contains("s3cret"), "{refused}");
        app.clock.set(monday("08:55"));
        app.worker().plan_mail().await.unwrap();
        until_sent(app).await;
        server.only();
        assert!(try_mail(&settings).await.unwrap().contains("отвечает"));
        let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let gone = perezvon::jobs::MailSettings { port: nowhere, ..(*settings).clone() };
        assert!(try_mail(&gone).await.unwrap_err().contains("на этом порту его нет"));
        assert!(!app.text("SELECT last_error FROM job UNION ALL SELECT ''").await.contains("s3cret"));
    }

    async fn a_line_break_in_a_name_makes_no_header(app) {
        let server = with_mail(app, "").await;
        let mail = NewMail {
            recipient: "Директор <director@school.example>".to_owned(),
            subject: "К 9:00\r\nBcc: thief@example.org\r\n\r\nтекст".to_owned(),
            body: "Одна\r\n.\r\nMAIL FROM:<thief@example.org>\r\n".to_owned(),
            attachment: Some(("a\r\nX-Evil: 1.xlsx".to_owned(), vec![0, 1, 2])),
        };
        let plan = MailPlan {
            kind: MailKind::Morning,
            day: "2026-11-23".to_owned(),
            pause: SignedDuration::ZERO,
            mails: vec![mail.clone(), NewMail { recipient: "a@b.example\r\nBcc: thief@example.org".to_owned(), ..mail }],
            overdue: Vec::new(),
            alarms: Vec::new(),
            alarms_over: Vec::new(),
        };
        app.store().plan_mail(plan, app.now()).await.unwrap();
        app.run_jobs().await;
        let letter = server.only();
        assert_eq!(letter.subject(), "К 9:00  Bcc: thief@example.org    текст");
        assert_eq!(letter.to, ["director@school.example"]);
        let headers = letter.headers();
        assert!(!headers.iter().any(|name| name.contains("Bcc") || name.contains("Evil")), "{headers:?}");
        assert!(!letter.raw.contains("\r\nX-Evil"), "{}", letter.raw);
        assert_eq!(app.alarm_kinds().await, ["mail"], "a reader who is none is given up at once");
    }
}
