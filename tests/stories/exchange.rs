//! What the school's own exchange tells, by requests as it sends them (provider contract, Asterisk, style webhook).

use axum::body::Body;
use axum::http::Request;
use perezvon::core::call::Outcome;
use perezvon::core::callback::Action;
use perezvon::core::officer::Actor;
use perezvon::recordings::tone;
use perezvon::store::VoicemailState;
use perezvon::time::SignedDuration;

use crate::harness::{Answer, App, Form, friday, stories};

const TOKEN: &str = "token-of-the-exchange";

pub(crate) async fn with_an_exchange(app: &App) {
    let exchange = format!("[[providers]]\nname = \"asterisk\"\nkind = \"asterisk\"\ntokens = [\"old\", \"{TOKEN}\"]");
    app.restart(|setup| setup.tables.push_str(&exchange)).await;
}

async fn tell(app: &App, endpoint: &str, form: &Form) -> Answer {
    let form_type = ("content-type", "application/x-www-form-urlencoded");
    send(app, endpoint, &[form_type, ("authorization", &format!("Bearer {TOKEN}"))], form.encoded()).await
}

/// The end of a call with its sound, as curl sends it.
pub(crate) async fn tell_with(app: &App, form: &Form, sound: &[u8]) -> Answer {
    let mut body = format!("--b\r\nContent-Disposition: form-data; name=\"call\"\r\n\r\n{}\r\n--b\r\n", form.encoded());
    body += "Content-Disposition: form-data; name=\"audio\"; filename=\"pzv.wav\"\r\n\r\n";
    let body = [body.as_bytes(), sound, b"\r\n--b--\r\n"].concat();
    let headers = [("content-type", "multipart/form-data; boundary=b"), ("authorization", &format!("Bearer {TOKEN}"))];
    send(app, "ended", &headers, body).await
}

async fn send(app: &App, endpoint: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let mut request = Request::post(format!("/webhooks/asterisk/{endpoint}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.request(request.body(body.into()).unwrap()).await
}

/// Sound that waits to be looked at, files.
fn arrived(app: &App) -> usize {
    std::fs::read_dir(app.folder.path().join("recordings/arrived")).map_or(0, |files| files.count())
}

fn stored(app: &App, name: &str) -> Vec<u8> {
    std::fs::read(app.folder.path().join("recordings").join(name)).unwrap()
}

fn asked(id: &str, from: &str) -> Form {
    let started = friday("19:30").as_second();
    Form(
        [("id", id), ("line", "89288328088"), ("from", from), ("started", &started.to_string())]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
    )
}

pub(crate) fn ended(id: &str, from: &str, how: &[(&str, &str)]) -> Form {
    let Form(mut fields) = asked(id, from);
    let ended = (friday("19:30").as_second() + 20).to_string();
    let usual =
        [("ended", ended.as_str()), ("dial", ""), ("talk", ""), ("record", ""), ("callback", ""), ("cause", "16")];
    for (name, value) in usual {
        let value = how.iter().find(|(known, _)| *known == name).map_or(value, |(_, value)| value);
        fields.push((name.to_owned(), value.to_owned()));
    }
    Form(fields)
}

pub(crate) fn speech() -> Vec<u8> {
    tone::wav_bytes(&tone::speech_like(4_000, 3))
}

stories! {
    async fn the_exchange_asks_once_and_tells_the_end_with_the_message(app) {
        with_an_exchange(app).await;
        let answer = tell(app, "incoming", &asked("pbx-1.0", "79281234567")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "voicemail"));
        app.clock.advance(SignedDuration::from_secs(30));
        let told = tell_with(app, &ended("pbx-1.0", "79281234567", &[("record", "HANGUP")]), &speech()).await;
        assert_eq!((told.status, told.body.as_str()), (200, "ok"));
        app.run_jobs().await;
        let [waiting] = &app.callbacks().await[..] else { panic!("one callback") };
        assert_eq!(waiting.callback.caller.as_ref().unwrap().e164(), "+79281234567");
        let [message] = &waiting.voicemails[..] else { panic!("one message") };
        let sound = message.sound.as_ref().unwrap();
        assert_eq!((message.state, sound.length_ms, sound.damage.as_str()), (VoicemailState::Stored, 4_000, ""));
        let call = app.call("pbx-1.0").await;
        assert_eq!((call.outcome(), call.started_at), (Outcome::Voicemail, friday("19:30")));
        assert_eq!(arrived(app), 0);
    }

    /// By its clock the second call was over before the talk.
    async fn slow_clock_of_the_exchange_forgets_nobody(app) {
        with_an_exchange(app).await;
        let caller = "79281234567";
        tell(app, "incoming", &asked("pbx-1.0", caller)).await;
        tell(app, "ended", &ended("pbx-1.0", caller, &[])).await;
        let madina = Actor::officer(1, "Мадина И.");
        let answered = app.callback().await.id;
        app.clock.set(friday("19:40"));
        app.act(answered, &madina, Action::Dial).await.unwrap();
        app.clock.set(friday("19:42"));
        app.act(answered, &madina, Action::Done { note: String::new() }).await.unwrap();
        app.clock.set(friday("19:45"));
        let seconds = |time: &str| friday(time).as_second().to_string();
        tell(app, "incoming", &asked("pbx-2.0", caller).with("started", &seconds("19:35"))).await;
        let end = ended("pbx-2.0", caller, &[("ended", seconds("19:36").as_str())]);
        tell(app, "ended", &end.with("started", &seconds("19:35"))).await;
        let waiting = app.callback().await;
        assert!(waiting.id != answered && app.call("pbx-2.0").await.callback_id == Some(waiting.id), "{waiting:?}");
    }

    async fn message_without_an_id_is_taken_once(app) {
        with_an_exchange(app).await;
        let call = asked("", "79281234567");
        assert_eq!(tell(app, "incoming", &call).await.body, "voicemail");
        let end = ended("", "79281234567", &[("record", "HANGUP")]);
        for minutes in [1, 60 * 24] {
            app.advance_minutes(minutes);
            let told = tell_with(app, &end, &speech()).await;
            assert_eq!((told.status, told.body.as_str()), (200, "ok"));
        }
        app.run_jobs().await;
        let [waiting] = &app.callbacks().await[..] else { panic!("one callback") };
        let [message] = &waiting.voicemails[..] else { panic!("one message") };
        assert_eq!((message.state, app.count("call").await), (VoicemailState::Stored, 2));
    }

    /// The second message once counted as the first one told again, and the exchange deleted it.
    async fn two_withheld_callers_without_an_id_leave_two_messages(app) {
        with_an_exchange(app).await;
        let fields = [("line", "89288328088"), ("from", ""), ("record", "HANGUP")];
        let end = Form(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
        for _ in 0..2 {
            for seconds in [4, 9] {
                let sound = tone::wav_bytes(&tone::speech_like(seconds * 1_000, 3));
                assert_eq!(tell_with(app, &end, &sound).await.body, "ok");
            }
            app.run_jobs().await;
            app.advance_minutes(24 * 60);
        }
        let mut lengths: Vec<i64> =
            app.voicemails().await.into_iter().map(|message| message.sound.unwrap().length_ms).collect();
        lengths.sort_unstable();
        assert_eq!((lengths, app.callbacks().await.len()), (vec![4_000, 9_000], 2));
    }

    async fn six_hours_of_our_absence_are_survived_by_its_spool(app) {
        with_an_exchange(app).await;
        app.advance_minutes(6 * 60);
        for attempt in 1..=2 {
            for caller in 1..=10 {
                let (id, from) = (format!("pbx-{caller}.0"), format!("792800001{caller:02}"));
                let told = tell_with(app, &ended(&id, &from, &[("record", "HANGUP")]), &speech()).await;
                assert_eq!((told.status, told.body.as_str()), (200, "ok"), "{id}, attempt {attempt}");
            }
        }
        app.run_jobs().await;
        let waiting = app.callbacks().await;
        assert_eq!((waiting.len(), app.count("call").await, app.voicemails().await.len()), (10, 10, 10));
        for view in waiting {
            assert_eq!(view.callback.received_at, friday("19:30"));
            assert!(view.calls.iter().all(|call| call.restored_at.is_none()), "it was reported, though late");
        }
        assert!(app.alarms().await.is_empty());
    }

    async fn in_working_time_the_exchange_rings_if_there_is_a_telephone(app) {
        app.clock.set(friday("12:00"));
        with_an_exchange(app).await;
        assert_eq!(tell(app, "incoming", &asked("pbx-1.0", "")).await.body, "open");
        app.restart(|setup| setup.ring = vec![]).await;
        assert_eq!(tell(app, "incoming", &asked("pbx-2.0", "")).await.body, "voicemail");
        let Form(mut unknown) = asked("pbx-3.0", "79281234567");
        unknown[1].1 = "74950000000".to_owned();
        assert_eq!(tell(app, "incoming", &Form(unknown)).await.body, "voicemail");
        assert_eq!(app.alarm_kinds().await, ["unknown_line"]);
        app.leave_the_jobs().await;
    }

    async fn the_same_end_twice_keeps_the_sound_and_the_row(app) {
        with_an_exchange(app).await;
        let end = ended("pbx-1.0", "79281234567", &[("record", "HANGUP")]);
        for _ in 0..2 {
            assert_eq!(tell_with(app, &end, &speech()).await.body, "ok");
        }
        app.run_jobs().await;
        // Once more with other sound, and without any.
        assert_eq!(tell_with(app, &end, &tone::wav_bytes(&tone::speech_like(9_000, 5))).await.body, "ok");
        assert_eq!(tell(app, "ended", &end).await.body, "ok");
        app.run_jobs().await;
        let [waiting] = &app.callbacks().await[..] else { panic!("one callback") };
        let [message] = &waiting.voicemails[..] else { panic!("one message") };
        assert_eq!(message.sound.as_ref().unwrap().length_ms, 4_000);
        assert_eq!((app.count("call").await, arrived(app)), (1, 0));
    }

    async fn sound_that_comes_after_an_end_without_it_is_taken(app) {
        with_an_exchange(app).await;
        let end = ended("pbx-1.0", "79281234567", &[("record", "HANGUP")]);
        tell(app, "ended", &end).await;
        let [waiting] = &app.callbacks().await[..] else { panic!("«без сообщения»") };
        assert!(waiting.voicemails.is_empty());
        tell_with(app, &end, &speech()).await;
        app.run_jobs().await;
        let [waiting] = &app.callbacks().await[..] else { panic!("one callback") };
        assert_eq!(waiting.voicemails[0].state, VoicemailState::Stored);
    }

    async fn who_hung_up_before_the_message_is_called_back_and_who_talked_is_not(app) {
        with_an_exchange(app).await;
        for (n, how, outcome) in [
            (1, &[("record", "")][..], Outcome::Abandoned),
            (2, &[("record", "HANGUP")], Outcome::NoMessage),
            (3, &[("dial", "ANSWER"), ("talk", "12")], Outcome::Answered),
            (4, &[("dial", "BUSY"), ("record", "HANGUP")], Outcome::NoMessage),
        ] {
            let id = format!("pbx-{n}.0");
            assert_eq!(tell(app, "ended", &ended(&id, &format!("7928000000{n}"), how)).await.body, "ok");
            assert_eq!(app.call(&id).await.outcome(), outcome);
        }
        assert_eq!(app.callbacks().await.len(), 3);
    }

    async fn a_recording_that_a_crash_of_the_exchange_cut_off_can_be_played(app) {
        with_an_exchange(app).await;
        let mut cut_off = speech();
        cut_off[4..8].fill(0);
        cut_off[40..44].fill(0);
        tell_with(app, &ended("pbx-1.0", "79281234567", &[]), &cut_off).await;
        app.run_jobs().await;
        let [waiting] = &app.callbacks().await[..] else { panic!("one callback") };
        let sound = waiting.voicemails[0].sound.as_ref().unwrap();
        assert_eq!(sound.length_ms, 4_000);
        assert_eq!(stored(app, &sound.name), speech(), "with the lengths of its header set right");
        assert_eq!(app.alarm_kinds().await, ["recording_damaged"]);
    }

    async fn a_cut_off_recording_told_again_stays_known_as_cut_off(app) {
        with_an_exchange(app).await;
        let mut cut_off = speech();
        cut_off[4..8].fill(0);
        cut_off[40..44].fill(0);
        for _ in 0..2 {
            assert_eq!(tell_with(app, &ended("pbx-1.0", "79281234567", &[]), &cut_off).await.body, "ok");
            app.run_jobs().await;
            assert!(!app.voicemails().await[0].sound.as_ref().unwrap().damage.is_empty());
            assert_eq!(app.alarm_kinds().await, ["recording_damaged"]);
            assert_eq!(app.count("job").await, 0, "the exchange has no other copy");
        }
    }

    async fn what_is_no_sound_is_kept_and_told(app) {
        with_an_exchange(app).await;
        let page = b"<html>502 Bad Gateway</html>";
        tell_with(app, &ended("pbx-1.0", "79281234567", &[("record", "HANGUP")]), page).await;
        app.run_jobs().await;
        let [waiting] = &app.callbacks().await[..] else { panic!("one callback") };
        let sound = waiting.voicemails[0].sound.as_ref().unwrap();
        assert_eq!((stored(app, &sound.name).as_slice(), sound.length_ms), (&page[..], 0));
        assert_eq!(app.alarm_kinds().await, ["recording_unmeasured"]);
    }

    async fn without_the_token_nothing_is_taken_and_nothing_is_lost(app) {
        with_an_exchange(app).await;
        let body = ended("pbx-1.0", "79281234567", &[("record", "HANGUP")]).encoded();
        let form_type = ("content-type", "application/x-www-form-urlencoded");
        for token in ["Bearer another", "Basic eDp5", ""] {
            let answer = send(app, "ended", &[form_type, ("authorization", token)], body.clone()).await;
            assert_eq!(answer.status, 401, "{token}");
        }
        assert_eq!(send(app, "ended", &[form_type], body.clone()).await.status, 401);
        let large = [("content-type", "multipart/form-data; boundary=b"), ("authorization", "Bearer another")];
        assert_eq!(send(app, "ended", &large, vec![0; 70_000]).await.status, 401, "before its body is read");
        assert_eq!(app.count("delivery").await, 0);
        assert_eq!(send(app, "ended", &[form_type, ("authorization", "Bearer old")], body).await.body, "ok");
    }

    async fn nonsense_is_refused_and_a_form_has_its_limit(app) {
        with_an_exchange(app).await;
        assert_eq!(tell(app, "ended", &Form(vec![])).await.status, 400);
        assert_eq!(tell(app, "elsewhere", &asked("pbx-1.0", "")).await.status, 404);
        let long = Form(vec![("id".to_owned(), "x".repeat(65_536))]);
        assert_eq!(tell(app, "ended", &long).await.status, 413);
        let odd = asked("../../etc/passwd", "\"; rm -rf /");
        assert_eq!(tell(app, "incoming", &odd).await.body, "voicemail");
        assert!(app.call("../../etc/passwd").await.other_party().is_none());
        app.leave_the_jobs().await;
    }

    async fn sound_that_cannot_be_written_down_is_not_answered_with_ok(app) {
        with_an_exchange(app).await;
        let end = ended("pbx-1.0", "79281234567", &[("record", "HANGUP")]);
        let (here, away) = (app.folder.path().join("recordings"), app.folder.path().join("away"));
        std::fs::rename(&here, &away).unwrap();
        assert_eq!(tell_with(app, &end, &speech()).await.status, 503, "the exchange keeps it");
        std::fs::rename(&away, &here).unwrap();
        assert_eq!(tell_with(app, &end, &speech()).await.body, "ok");
        app.clock.advance(SignedDuration::from_secs(10));
        app.run_jobs().await;
        let [waiting] = &app.callbacks().await[..] else { panic!("one callback") };
        assert_eq!((waiting.voicemails.len(), waiting.voicemails[0].state), (1, VoicemailState::Stored));
    }
}
