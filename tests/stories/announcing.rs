//! What a caller hears on an exchange that plays by itself: the school's recording and the date of the callback in one
//! file, fetched for each call.

use std::path::{Path, PathBuf};

use axum::body::{Body, to_bytes};
use axum::http::response::Parts;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use perezvon::core::greetings::GreetingKind;
use perezvon::recordings::{Folder, RecordingName, Sounds};
use perezvon::time::{SignedDuration, Timestamp};
use tower::ServiceExt;

use crate::greetings::{ADDRESS, draft, senior};
use crate::harness::{App, TECHNICAL, friday, monday, patiently, stories};

const PARENTS: &str = "/greetings/89288328088/closed.wav";
const PARENTS_BUSY: &str = "/greetings/89288328088/busy.wav";
/// Samples of «обратный звонок» in the sentence that has it.
const CALLBACK: std::ops::Range<usize> = 23_400..30_900;

/// The package that `tests/run` installs, wherever it lies.
fn package() -> PathBuf {
    Sounds::installed().find().expect("asterisk-core-sounds-ru-wav is installed").path().to_owned()
}

async fn with_words(app: &App, folder: &Path) {
    app.restart(|setup| setup.tables = format!("[prompts]\nsounds = \"{}\"", folder.display())).await;
}

async fn ask(app: &App, request: Request<Body>) -> (Parts, Bytes) {
    let (parts, body) = app.router().oneshot(request).await.unwrap().into_parts();
    (parts, to_bytes(body, 4 << 20).await.unwrap())
}

/// The samples of the greeting that a caller hears now.
async fn heard(app: &App, address: &str) -> Vec<i16> {
    let (parts, body) = ask(app, Request::get(address).body(Body::empty()).unwrap()).await;
    assert_eq!(parts.status, StatusCode::OK, "{address}: {}", String::from_utf8_lossy(&body));
    assert_eq!(parts.headers["content-type"], "audio/wav");
    samples(&body)
}

/// By another reader than the service's own.
fn samples(wav: &[u8]) -> Vec<i16> {
    let mut reader = hound::WavReader::new(wav).unwrap();
    let spec = reader.spec();
    assert_eq!((spec.sample_rate, spec.channels, spec.bits_per_sample), (8_000, 1, 16));
    reader.samples().collect::<Result<_, _>>().unwrap()
}

/// Words of the package one after another; a number is a pause of so many milliseconds, `callback` the part of its sentence.
fn spoken(words: &str) -> Vec<i16> {
    let word = |name: &str| samples(&std::fs::read(package().join(name).with_extension("wav")).unwrap());
    let sound = |name: &str| match (name, name.parse::<usize>()) {
        (_, Ok(pause_ms)) => vec![0; pause_ms * 8],
        ("callback", _) => word("unidentified-no-callback")[CALLBACK].to_vec(),
        _ => word(name),
    };
    words.split_whitespace().flat_map(sound).collect()
}

/// How Monday the 23rd is promised on the Friday before.
const MONDAY: &str = "callback 180 digits/day-1 180 digits/20 digits/h-3 digits/mon-10";

fn whole(date: &str) -> Vec<i16> {
    spoken(&format!("hello 450 vm-nobodyavail 450 {date} 450 vm-intro"))
}

/// A recording that is switched on, and its samples.
async fn recorded(app: &App, kind: GreetingKind, seed: u64) -> Vec<i16> {
    let (id, address) = draft(app, kind, seed).await;
    app.store().switch_prompt_on(id, &senior(), ADDRESS, app.now()).await.unwrap();
    heard(app, &address).await
}

/// Returns when the alarm, which no caller waits for, is raised.
async fn until_alarmed(app: &App) {
    patiently("an alarm", async {
        while app.alarms().await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn set(app: &App, at: Timestamp) {
    app.clock.advance(SignedDuration::from_millis(at.as_millisecond() - app.now().as_millisecond()));
}

stories! {
    async fn the_date_of_the_callback_is_spoken_by_a_person(app) {
        with_words(app, &package()).await;
        assert!(heard(app, PARENTS).await == whole(MONDAY), "of exactly these words");
        // The call log promises the same day.
        let decision = app.post("voice", &crate::harness::Form::call("1")).await;
        assert!(decision.body.contains("Мы перезвоним в понедельник, 23 ноября"), "{}", decision.body);
        app.leave_the_jobs().await;
    }

    async fn the_day_promised_changes_at_the_opening_and_at_the_closing(app) {
        with_words(app, &package()).await;
        set(app, monday("08:59:59"));
        let today = MONDAY.replace("callback 180", "callback 180 digits/today 180");
        assert!(heard(app, PARENTS).await == whole(&today));
        set(app, monday("09:00:01"));
        assert!(heard(app, PARENTS).await == whole("callback 180 digits/today"), "not the next day");
        assert!(heard(app, PARENTS_BUSY).await == whole("callback 180 digits/today"));
        set(app, monday("17:59:59"));
        assert!(heard(app, PARENTS_BUSY).await == spoken("hello 450 vm-nobodyavail 450 vm-intro"));
        set(app, monday("18:00"));
        let tomorrow = "callback 180 digits/tomorrow 180 digits/day-2 180 digits/20 digits/h-4 digits/mon-10";
        assert!(heard(app, PARENTS).await == whole(tomorrow));
        let no_day = spoken("hello 450 vm-nobodyavail 450 vm-intro");
        assert!(heard(app, PARENTS_BUSY).await == no_day, "the telephones rang until the line closed");
    }

    async fn the_schools_recording_comes_first_once_it_is_switched_on_and_the_date_after_it(app) {
        with_words(app, &package()).await;
        heard(app, PARENTS).await;
        let own = recorded(app, GreetingKind::Closed, 1).await;
        assert!(heard(app, PARENTS).await == [own.clone(), spoken(&format!("450 {MONDAY}"))].concat(), "at once");
        assert!(heard(app, "/greetings/89288036355/closed.wav").await == whole(MONDAY), "not of the other line");
        let (busy, late) = (recorded(app, GreetingKind::Busy, 2).await, recorded(app, GreetingKind::BusyLate, 3).await);
        set(app, monday("17:30"));
        assert!(heard(app, PARENTS_BUSY).await == busy, "it says «сегодня» itself");
        set(app, monday("17:31"));
        assert!(heard(app, PARENTS_BUSY).await == late);
    }

    async fn any_spelling_of_the_number_is_the_line(app) {
        with_words(app, &package()).await;
        let own = [recorded(app, GreetingKind::Closed, 1).await, spoken(&format!("450 {MONDAY}"))].concat();
        let alias = format!("/greetings/{TECHNICAL}/closed.wav");
        for address in [
            PARENTS,
            "/greetings/+79288328088/closed.wav",
            "/greetings/%2B79288328088/closed.wav",
            "/greetings/79288328088/closed.wav",
            "/greetings/8%20928%20832-80-88/closed.wav",
            &alias,
        ] {
            assert!(heard(app, address).await == own, "{address}");
        }
    }

    async fn a_number_that_nobody_configured_hears_the_offer_all_the_same(app) {
        with_words(app, &package()).await;
        recorded(app, GreetingKind::Closed, 1).await;
        let long = format!("/greetings/{}/closed.wav", "9".repeat(3_000));
        for address in ["/greetings/84951234567/closed.wav", "/greetings/s/closed.wav", "/greetings/..%2f..%2f/closed.wav", &long] {
            assert!(heard(app, address).await == whole(MONDAY), "{address}");
        }
    }

    async fn odd_names_are_not_here(app) {
        with_words(app, &package()).await;
        for address in [
            "/greetings/89288328088/open.wav",
            "/greetings/89288328088/closed",
            "/greetings/89288328088/closed.mp3",
            "/greetings/89288328088/CLOSED.wav",
            "/greetings/89288328088/..%2f..%2fperezvon.db",
            "/greetings/89288328088/..%2fclosed.wav",
            "/greetings/89288328088/%00.wav",
            "/greetings/89288328088/.wav",
            "/greetings/89288328088/closed.wav/",
            "/greetings//closed.wav/x",
        ] {
            assert_eq!(app.get(address).await.status, 404, "{address}");
        }
        assert_eq!(app.get("/greetings/%ff/closed.wav").await.status, 400);
    }

    async fn an_exchange_that_has_the_greeting_of_today_gets_it_no_second_time(app) {
        with_words(app, &package()).await;
        let asking = |method: &str, known: &str| {
            let asking = Request::builder().method(method).uri(PARENTS);
            let asking = if known.is_empty() { asking } else { asking.header("if-none-match", known) };
            asking.body(Body::empty()).unwrap()
        };
        let (first, wav) = ask(app, asking("GET", "")).await;
        let etag = first.headers["etag"].to_str().unwrap().to_owned();
        assert_eq!(first.headers["cache-control"], "no-cache");
        let (head, nothing) = ask(app, asking("HEAD", "")).await;
        assert_eq!((head.status, nothing.len()), (StatusCode::OK, 0));
        assert_eq!(head.headers["content-length"], wav.len().to_string().as_str());
        assert_eq!(head.headers["etag"], etag.as_str());
        for method in ["GET", "HEAD"] {
            let (again, nothing) = ask(app, asking(method, &etag)).await;
            assert_eq!((again.status, nothing.len()), (StatusCode::NOT_MODIFIED, 0), "{method}");
            assert_eq!(again.headers["etag"], etag.as_str());
            let (other, _) = ask(app, asking(method, "\"another\"")).await;
            assert_eq!(other.status, StatusCode::OK, "{method}");
        }
        set(app, monday("18:00"));
        let (later, _) = ask(app, asking("GET", &etag)).await;
        assert_eq!(later.status, StatusCode::OK, "another day is promised");
        set(app, friday("20:00") + SignedDuration::from_hours(7 * 24));
        let (next_week, _) = ask(app, asking("GET", &etag)).await;
        assert_ne!(next_week.headers["etag"], etag.as_str());
    }

    async fn the_package_is_found_without_a_word_in_the_configuration(app) {
        assert!(heard(app, PARENTS).await == whole(MONDAY));
    }

    async fn without_words_the_recording_stands_alone(app) {
        with_words(app, &app.folder.path().join("none")).await;
        let own = recorded(app, GreetingKind::Closed, 1).await;
        assert!(heard(app, PARENTS).await == own);
        assert_eq!(app.alarm_kinds().await, [""; 0]);
    }

    async fn without_words_and_recording_there_is_no_greeting_and_one_alarm(app) {
        with_words(app, &app.folder.path().join("none")).await;
        for address in [PARENTS, PARENTS_BUSY, "/greetings/89288036355/closed.wav"] {
            assert_eq!(app.get(address).await.status, 404, "{address}");
            until_alarmed(app).await;
        }
        let alarms = app.alarms().await;
        assert_eq!(alarms.len(), 1, "{alarms:?}");
        assert!(alarms[0].told.contains("asterisk-core-sounds-ru-wav"), "{alarms:?}");
    }

    async fn a_missing_word_costs_its_sentence_and_not_the_greeting(app) {
        let words = app.folder.path().join("words");
        std::fs::create_dir_all(words.join("digits")).unwrap();
        for file in ["hello.wav", "vm-nobodyavail.wav", "vm-intro.wav", "digits/day-1.wav"] {
            std::fs::copy(package().join(file), words.join(file)).unwrap();
        }
        with_words(app, &words).await;
        assert!(heard(app, PARENTS).await == spoken("hello 450 vm-nobodyavail 450 vm-intro"), "no date");
        // What has been made is kept in memory.
        std::fs::remove_file(words.join("vm-nobodyavail.wav")).unwrap();
        with_words(app, &words).await;
        assert!(heard(app, PARENTS).await == spoken("hello 450 vm-intro"));
        let own = recorded(app, GreetingKind::Closed, 1).await;
        assert!(heard(app, PARENTS).await == own);
    }

    async fn words_that_are_installed_meanwhile_are_spoken_at_once(app) {
        let words = app.folder.path().join("words");
        with_words(app, &words).await;
        let own = recorded(app, GreetingKind::Closed, 1).await;
        assert!(heard(app, PARENTS).await == own);
        std::os::unix::fs::symlink(package(), &words).unwrap();
        assert!(heard(app, PARENTS).await == [own, spoken(&format!("450 {MONDAY}"))].concat());
    }

    async fn a_lost_recording_and_a_missing_word_leave_the_other_sentences(app) {
        let words = app.folder.path().join("words");
        std::fs::create_dir_all(&words).unwrap();
        std::fs::copy(package().join("vm-intro.wav"), words.join("vm-intro.wav")).unwrap();
        with_words(app, &words).await;
        let (id, _) = draft(app, GreetingKind::Closed, 1).await;
        app.store().switch_prompt_on(id, &senior(), ADDRESS, app.now()).await.unwrap();
        let folder = Folder::open(app.folder.path().join("recordings")).unwrap();
        folder.remove(&RecordingName::of_prompt(&format!("{:032x}", 1)).unwrap()).await.unwrap();
        assert!(heard(app, PARENTS).await == spoken("vm-intro"));
        until_alarmed(app).await;
    }

    async fn a_recording_that_is_lost_is_replaced_by_words_and_an_alarm_is_raised(app) {
        with_words(app, &package()).await;
        let (id, _) = draft(app, GreetingKind::Closed, 1).await;
        app.store().switch_prompt_on(id, &senior(), ADDRESS, app.now()).await.unwrap();
        let folder = Folder::open(app.folder.path().join("recordings")).unwrap();
        folder.remove(&RecordingName::of_prompt(&format!("{:032x}", 1)).unwrap()).await.unwrap();
        assert!(heard(app, PARENTS).await == whole(MONDAY));
        until_alarmed(app).await;
        assert_eq!(app.alarm_kinds().await, ["we_failed"]);
    }

    async fn the_date_is_spoken_while_the_database_is_away(app) {
        with_words(app, &package()).await;
        app.take_the_database_away().await;
        assert!(heard(app, PARENTS).await == whole(MONDAY));
        app.bring_the_database_back().await;
    }

    async fn many_callers_at_once_all_hear_it(app) {
        with_words(app, &package()).await;
        let asked = (0..10).map(|_| heard(app, PARENTS));
        let expected = whole(MONDAY);
        assert!(futures_util::future::join_all(asked).await.iter().all(|heard| *heard == expected));
    }
}
