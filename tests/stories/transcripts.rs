//! The words of a message, written down by a speech server that the school has chosen: a help, never a gate.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::{Bytes, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use perezvon::app::demo::{AtSignal, CallPlan, Ending, Sound};
use perezvon::core::callback::Action;
use perezvon::core::officer::{Actor, Role};
use perezvon::store::{Voicemail, VoicemailState};
use perezvon::time::SignedDuration;

use crate::harness::{App, Form, PARENTS, stories};

/// One request as it came.
struct Asked {
    path: String,
    authorization: Option<String>,
    /// The multipart body; sound and texts.
    body: Bytes,
}

/// A speech server on loopback. What it answers is set beforehand; after that, 503.
#[derive(Clone)]
pub struct Speech {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<VecDeque<(StatusCode, String)>>>,
}

impl Speech {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let speech = Self { url, asked: Arc::default(), answers: Arc::default() };
        let (asked, answers) = (speech.asked.clone(), speech.answers.clone());
        let router = axum::Router::new().fallback(async move |request: Request<axum::body::Body>| -> Response {
            let (parts, body) = request.into_parts();
            let authorization = parts.headers.get(header::AUTHORIZATION).map(|it| it.to_str().unwrap().to_owned());
            let body = to_bytes(body, 32 << 20).await.unwrap();
            asked.lock().unwrap().push(Asked { path: parts.uri.path().to_owned(), authorization, body });
            let answer = answers.lock().unwrap().pop_front();
            let (status, text) = answer.unwrap_or((StatusCode::SERVICE_UNAVAILABLE, String::new()));
            let location = [(header::LOCATION, text.clone())];
            if status.is_redirection() { (status, location).into_response() } else { (status, text).into_response() }
        });
        tokio::spawn(async { axum::serve(listener, router).await });
        speech
    }

    pub fn says(&self, text: &str) {
        self.answers(StatusCode::OK, &serde_json::json!({ "text": text, "segments": [] }).to_string());
    }

    pub fn answers(&self, status: StatusCode, body: &str) {
        self.answers.lock().unwrap().push_back((status, body.to_owned()));
    }

    fn times_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

async fn with_speech(app: &App) -> Speech {
    let speech = Speech::start().await;
    let url = speech.url.clone();
    app.restart(|setup| {
        setup.tables = format!("[transcription]\nurl = \"{url}\"\nmodel = \"small\"\ntoken = \"s3cret\"");
    })
    .await;
    speech
}

async fn leaves(app: &App, caller: &str, sound: Sound) {
    let plan = CallPlan::new(caller, PARENTS).at_signal(AtSignal::Leaves { sound, then: Ending::HangsUp });
    app.exchange.call(plan).await;
}

async fn a_message(app: &App) {
    leaves(app, "+79280000001", Sound::Speech { length_ms: 12_000, voice: 1, number: String::new() }).await;
}

async fn voicemail(app: &App) -> Voicemail {
    let mut all = app.voicemails().await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

async fn words(app: &App) -> Option<String> {
    voicemail(app).await.transcript.map(|transcript| transcript.text)
}

stories! {
    async fn no_sound_leaves_the_house_unless_the_school_has_asked_for_it(app) {
        let speech = Speech::start().await;
        a_message(app).await;
        app.run_all_jobs().await;
        assert_eq!((voicemail(app).await.state, words(app).await), (VoicemailState::Stored, None));
        assert_eq!((speech.times_asked(), app.count("job").await), (0, 0));
    }

    async fn the_words_of_a_message_stand_beside_it_with_the_model_that_wrote_them(app) {
        let speech = with_speech(app).await;
        speech.says(" Не отображаются оценки.\nНомер восемь девятьсот двадцать восемь восемьсот тридцать два восемьдесят восемьдесят восемь.");
        a_message(app).await;
        app.run_all_jobs().await;
        let kept = voicemail(app).await;
        let transcript = kept.transcript.clone().expect("words");
        assert!(transcript.text.starts_with("Не отображаются оценки. Номер восемь"), "{}", transcript.text);
        assert_eq!(transcript.model, "small");
        assert_eq!(kept.said_number().expect("a number").e164(), "+79288328088");
        let asked = speech.asked.lock().unwrap();
        assert_eq!((asked.len(), asked[0].path.as_str()), (1, "/v1/audio/transcriptions"));
        assert_eq!(asked[0].authorization.as_deref(), Some("Bearer s3cret"));
        let body = String::from_utf8_lossy(&asked[0].body);
        for part in ["name=\"model\"\r\n\r\nsmall", "name=\"language\"\r\n\r\nru", "name=\"response_format\"\r\n\r\njson", "filename=\"message.wav\"", "RIFF"] {
            assert!(body.contains(part), "{part}");
        }
        assert!(!body.contains("79280000001"), "the server learns nothing about the caller");
    }

    async fn the_number_that_the_network_showed_is_not_offered_again(app) {
        let speech = with_speech(app).await;
        speech.says("Мой номер 8 928 000-00-01");
        a_message(app).await;
        app.run_all_jobs().await;
        assert_eq!(words(app).await.as_deref(), Some("Мой номер 8 928 000-00-01"));
        assert_eq!(voicemail(app).await.said_number(), None);
    }

    async fn number_said_in_a_message_is_not_dialled_past_a_colleague(app) {
        let speech = with_speech(app).await;
        speech.says("Мой номер 8 928 832-80-77");
        a_message(app).await;
        app.run_all_jobs().await;
        let own = app.callback().await.id;
        let call = app.number("SELECT id FROM call").await;
        let mut madina = app.browser("Мадина И.", Role::Officer).await;
        let (card, page) = (format!("/callbacks/{own}"), format!("/calls/{call}"));
        let card = madina.get(&card).await.location;
        let dials = "href=\"tel:+79288328077\">Звонить на него";
        assert!(madina.get(&card).await.body.contains(dials), "the message stands on the card that is dialled from");
        let of_call = madina.get(&page).await.body;
        let link = format!("<a class=\"button\" href=\"/callbacks/{own}\">Открыть обращение</a>");
        assert!(of_call.contains(&link) && !of_call.contains("tel:"), "{of_call}");
        app.post("status", &Form::call("CA2").from("+79288328077").status("completed")).await;
        app.leave_the_jobs().await;
        let other = app.call("CA2").await.callback_id.unwrap();
        let aishat = Actor::officer(2, "Айшат М.");
        app.act(other, &aishat, Action::Dial).await.unwrap();
        for address in [&card, &page] {
            let body = madina.get(address).await.body;
            assert!(body.contains("По этому номеру сейчас звонит Айшат М.") && !body.contains(dials), "{body}");
        }
        app.act(other, &aishat, Action::Done { note: String::new() }).await.unwrap();
        app.act(own, &aishat, Action::Claim).await.unwrap();
        let body = madina.get(&card).await.body;
        assert!(body.contains("8 928 832-80-77") && !body.contains("tel:"), "a colleague has it in hand: {body}");
    }

    async fn on_silence_and_on_a_tone_nobody_is_asked(app) {
        let speech = with_speech(app).await;
        leaves(app, "+79280000001", Sound::BusyTone { length_ms: 8_000 }).await;
        leaves(app, "+79280000002", Sound::Silence { length_ms: 8_000 }).await;
        app.run_all_jobs().await;
        assert_eq!((app.voicemails().await.len(), speech.times_asked()), (1, 0), "silence leaves no recording at all");
    }

    async fn what_a_model_invents_is_not_kept_and_not_asked_for_again(app) {
        let speech = with_speech(app).await;
        speech.says("Субтитры сделал DimaTorzok");
        a_message(app).await;
        app.run_all_jobs().await;
        assert_eq!((words(app).await, speech.times_asked(), app.count("job").await), (None, 1, 0));
        assert_eq!(app.text("SELECT transcript_model FROM voicemail").await, "small");
    }

    async fn a_server_that_is_down_takes_nothing_from_the_message_and_is_given_up_quietly_after_a_day(app) {
        let speech = with_speech(app).await;
        a_message(app).await;
        app.run_jobs().await;
        assert_eq!(app.callbacks().await.len(), 1);
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        assert_eq!(app.exchange.counters().deleted.len(), 1, "the provider's copy waits for no words");
        app.run_all_jobs().await;
        assert!(speech.times_asked() > 5, "{}", speech.times_asked());
        assert_eq!((words(app).await, app.alarm_kinds().await), (None, Vec::<String>::new()));
        assert_eq!(app.number("SELECT COUNT(*) FROM job WHERE kind = 'transcribe' AND given_up_at IS NOT NULL").await, 1);
        let told = app.text("SELECT last_error FROM job WHERE kind = 'transcribe'").await;
        assert!(told.contains("503") && !told.contains("s3cret"), "{told}");
    }

    /// Waiting for others counted as failing, and each that waited was written to every five seconds.
    async fn a_message_that_waits_for_its_turn_has_not_failed(app) {
        let speech = with_speech(app).await;
        for (voice, caller) in ["+79280000001", "+79280000002", "+79280000003"].into_iter().enumerate() {
            let sound = Sound::Speech { length_ms: 12_000, voice: voice as u64 + 1, number: String::new() };
            leaves(app, caller, sound).await;
        }
        for n in 1..=3 {
            speech.says(&format!("Сообщение {n}."));
        }
        app.run_jobs().await;
        assert_eq!((speech.times_asked(), app.number("SELECT COUNT(*) FROM job WHERE attempts > 0").await), (3, 0));
        assert_eq!(app.number("SELECT COUNT(*) FROM voicemail WHERE transcript IS NOT NULL").await, 3);
    }

    async fn a_server_that_comes_back_is_asked_again(app) {
        let speech = with_speech(app).await;
        speech.answers(StatusCode::INTERNAL_SERVER_ERROR, "");
        speech.answers(StatusCode::OK, "no JSON at all");
        speech.says("Перезвоните, пожалуйста.");
        a_message(app).await;
        app.run_all_jobs().await;
        assert_eq!((words(app).await.as_deref(), speech.times_asked()), (Some("Перезвоните, пожалуйста."), 3));
    }

    async fn a_file_that_the_server_will_never_take_is_sent_once(app) {
        let speech = with_speech(app).await;
        speech.answers(StatusCode::UNSUPPORTED_MEDIA_TYPE, "");
        a_message(app).await;
        app.run_all_jobs().await;
        assert_eq!(speech.times_asked(), 1);
    }

    async fn a_huge_answer_is_not_read_to_its_end(app) {
        let speech = with_speech(app).await;
        speech.says(&"слово ".repeat(100_000));
        speech.says(&"слово за словом и ещё одно ".repeat(1_000));
        speech.says("Перезвоните.");
        a_message(app).await;
        app.run_jobs().await;
        assert_eq!(words(app).await, None);
        let told = app.text("SELECT last_error FROM job WHERE kind = 'transcribe'").await;
        assert!(told.contains("larger than"), "{told}");
        app.run_all_jobs().await;
        assert_eq!((words(app).await, speech.times_asked()), (None, 2), "nobody says so many words in twelve seconds");
    }

    async fn the_token_follows_no_redirect(app) {
        let (speech, elsewhere) = (with_speech(app).await, Speech::start().await);
        speech.answers(StatusCode::TEMPORARY_REDIRECT, &format!("{}/v1/audio/transcriptions", elsewhere.url));
        speech.says("Перезвоните.");
        elsewhere.says("Чужое.");
        a_message(app).await;
        app.run_all_jobs().await;
        assert_eq!((elsewhere.times_asked(), words(app).await.as_deref()), (0, Some("Перезвоните.")));
    }

    async fn messages_are_written_down_one_after_another_and_hold_up_nothing_else(app) {
        let speech = with_speech(app).await;
        for n in 1..=5 {
            speech.says(&format!("Сообщение {n}"));
            let sound = Sound::Speech { length_ms: 5_000, voice: 1, number: String::new() };
            leaves(app, &format!("+7928000000{n}"), sound).await;
        }
        app.run_all_jobs().await;
        let mut kept: Vec<_> =
            app.voicemails().await.into_iter().filter_map(|voicemail| Some(voicemail.transcript?.text)).collect();
        kept.sort();
        assert_eq!(kept, ["Сообщение 1", "Сообщение 2", "Сообщение 3", "Сообщение 4", "Сообщение 5"]);
        assert_eq!(speech.times_asked(), 5);
    }

    async fn an_erased_message_has_no_words_any_more_and_gets_none(app) {
        let speech = with_speech(app).await;
        speech.says("Перезвоните.");
        a_message(app).await;
        app.run_all_jobs().await;
        let id = voicemail(app).await.id;
        assert_eq!(app.number("SELECT COUNT(*) FROM callback_word").await, 1, "what was said can be searched for");
        let printed = "Расшифровка, может содержать ошибки: «Перезвоните.»";
        for (role, may_read) in [(Role::Officer, true), (Role::Observer, false)] {
            let paper = app.browser("Мадина", role).await.get("/callbacks/print?show=all").await.body;
            assert_eq!(paper.contains(printed), may_read, "{role:?}: {paper}");
        }
        let by = Actor::system();
        assert!(app.store().erase_voicemail(id, &by, "просьба", "", app.now()).await.unwrap());
        assert_eq!(app.number("SELECT COUNT(*) FROM callback_word").await, 0);
        assert_eq!((voicemail(app).await.state, words(app).await), (VoicemailState::Erased, None));
        assert_eq!(app.number("SELECT COUNT(*) FROM voicemail WHERE transcript IS NOT NULL").await, 0);
        app.store().voicemail_transcribed(id, Some("Поздний ответ".to_owned()), "small", app.now()).await.unwrap();
        assert_eq!(app.number("SELECT COUNT(*) FROM voicemail WHERE transcript IS NOT NULL").await, 0);
        app.clock.advance(SignedDuration::from_mins(1));
    }

    async fn erasing_a_message_leaves_the_words_of_the_others_to_be_found_by(app) {
        let speech = with_speech(app).await;
        for words in ["Журнал не открывается.", "Журнал пуст."] {
            speech.says(words);
            a_message(app).await;
            app.run_all_jobs().await;
        }
        assert_eq!(app.count("callback").await, 1);
        let first = app.voicemails().await.remove(0).id;
        let by = Actor::system();
        assert!(app.store().erase_voicemail(first, &by, "просьба", "", app.now()).await.unwrap());
        assert_eq!(app.number("SELECT COUNT(*) FROM callback_word").await, 2, "the words of the other message");
        app.clock.advance(SignedDuration::from_mins(1));
    }

    async fn switching_it_off_leaves_no_job_behind(app) {
        let speech = with_speech(app).await;
        a_message(app).await;
        app.run_jobs().await;
        app.restart(|setup| setup.tables.clear()).await;
        app.run_all_jobs().await;
        assert_eq!((speech.times_asked(), app.count("job").await), (1, 0));
    }
}
