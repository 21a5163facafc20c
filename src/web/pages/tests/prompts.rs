//! Stories of the greetings' page.

use super::*;
use crate::core::greetings::GreetingKind;
use crate::recordings::prompt::{LARGEST_UPLOAD, LOUDNESS_LUFS};
use crate::recordings::{PhoneSound, tone};
use crate::store::Prompt;

const TEXT: &str = "/prompts?line=parents&text=closed";

fn voice() -> Vec<u8> {
    tone::wav_bytes(&tone::speech_like(3_000, 1))
}

/// A form with one file in it, as a browser sends it.
fn form_of(file: &[u8]) -> Vec<u8> {
    let mut body = b"--XX\r\nContent-Disposition: form-data; name=\"sound\"; filename=\"a.wav\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n"
        .to_vec();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--XX--\r\n");
    body
}

impl School {
    async fn upload(&self, address: &str, cookie: &str, body: Vec<u8>) -> Answer {
        let request = Request::post(address)
            .header(CONTENT_TYPE, "multipart/form-data; boundary=XX")
            .header("sec-fetch-site", "same-origin")
            .header(COOKIE, cookie);
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn versions(&self) -> Vec<Prompt> {
        self.house.store.prompts(&LineId::new("parents"), GreetingKind::Closed).await.unwrap()
    }

    /// Status, headers and bytes: sound is no text.
    async fn sound(&self, address: &str, cookie: &str, range: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
        let request = Request::get(address).header(COOKIE, cookie).header("range", range).body(Body::empty()).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap().to_vec())
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.house.folder.path().join("prompts")).map_or(0, Iterator::count)
    }
}

#[tokio::test]
async fn a_greeting_goes_from_the_file_over_listening_to_the_callers_and_back() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let page = school.get("/prompts", &cookie).await;
    assert_eq!(page.text.matches("говорит робот").count(), 6, "{}", page.text);
    assert!(!page.text.contains("<audio"), "folded cards have no players");

    let taken = school.upload(TEXT, &cookie, form_of(&voice())).await;
    let address = "/prompts?line=parents&text=closed&did=new#parents-closed";
    assert_eq!((taken.status, taken.header(LOCATION)), (StatusCode::SEE_OTHER, address), "{}", taken.text);
    let page = school.get(address.split('#').next().unwrap(), &cookie).await.text;
    for words in [
        "Загружено. Послушайте и включите",
        "1\u{a0}черновик",
        "черновик, звонящие его не слышат",
        "сегодня, 9:12",
        "Включить",
        "Как услышит звонящий",
        "Мы перезвоним во вторник, 24 ноября, в рабочее время.",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let [draft] = &school.versions().await[..] else { panic!("one version") };
    assert_eq!(school.house.lines().get(&draft.line).unwrap().greetings.len(), 0, "nobody hears it yet");

    let on = school.post(&format!("/prompts/{}/on", draft.id), &cookie, "").await;
    let address = "/prompts?line=parents&text=closed&did=on#parents-closed";
    assert_eq!((on.status, on.header(LOCATION)), (StatusCode::SEE_OTHER, address));
    let played = &school.house.lines().get(&draft.line).unwrap().greetings[&GreetingKind::Closed].clone();
    let (status, headers, sound) = school.sound(&played.address(), "", "").await;
    assert_eq!(
        (status, headers["cache-control"].to_str().unwrap()),
        (StatusCode::OK, "public, max-age=31536000, immutable")
    );
    assert_eq!(PhoneSound::read(&sound, 10_000).unwrap().length_ms(), played.length_ms);
    let page = school.get("/prompts", &cookie).await.text;
    assert!(page.contains("файл загружен 23.11, 3\u{a0}с"), "{page}");

    school.post(&format!("/prompts/{}/off", draft.id), &cookie, "").await;
    assert_eq!(school.house.lines().get(&draft.line).unwrap().greetings.len(), 0);
    let page = school.get(TEXT, &cookie).await.text;
    assert!(page.contains("Вернуть") && page.contains("звучало раньше") && !page.contains("/drop"), "{page}");
}

#[tokio::test]
async fn all_three_sounds_can_be_listened_to_in_parts() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    school.upload(TEXT, &cookie, form_of(&voice())).await;
    let id = school.versions().await[0].id;
    let (status, _, original) = school.sound(&format!("/prompts/{id}/original"), &cookie, "").await;
    assert_eq!((status, original), (StatusCode::OK, voice()));
    let (_, _, heard) = school.sound(&format!("/prompts/{id}/heard"), &cookie, "").await;
    let (_, _, line) = school.sound(&format!("/prompts/{id}/line"), &cookie, "").await;
    let through = PhoneSound::read(&heard, 10_000).unwrap().through_the_line();
    assert_eq!(PhoneSound::read(&line, 10_000).unwrap(), through);
    assert_ne!(heard, line);
    let (status, headers, part) = school.sound(&format!("/prompts/{id}/heard"), &cookie, "bytes=44-143").await;
    let whole = format!("bytes 44-143/{}", heard.len());
    assert_eq!((status, headers["content-range"].to_str().unwrap()), (StatusCode::PARTIAL_CONTENT, whole.as_str()));
    assert_eq!(part, heard[44..144]);
    let beyond = school.sound(&format!("/prompts/{id}/heard"), &cookie, "bytes=99999999-").await;
    assert_eq!(beyond.0, StatusCode::RANGE_NOT_SATISFIABLE);
    for nothing in [format!("/prompts/{id}/else"), "/prompts/1/heard".to_owned(), "/prompts/x/heard".to_owned()] {
        assert_eq!(school.get(&nothing, &cookie).await.status, StatusCode::NOT_FOUND, "{nothing}");
    }
}

#[tokio::test]
async fn what_is_worth_recording_anew_is_said_in_words() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let long = tone::speech_like(27_000, 1);
    let soft = |by: i16| tone::wav_bytes(&long.iter().map(|sample| sample / by).collect::<Vec<_>>());
    let overdriven: Vec<i16> = long.iter().map(|sample| sample.saturating_mul(40)).collect();
    assert!(school.upload(TEXT, &cookie, form_of(&soft(20))).await.status == StatusCode::SEE_OTHER);
    let version = &school.versions().await[0];
    let raised = (version.raised_centibels + 5) / 10;
    assert!(raised > 6, "{raised} dB to {LOUDNESS_LUFS} LUFS");
    let page = school.get(TEXT, &cookie).await.text;
    assert!(page.contains("Длиннее 25 секунд: звонящие вешают трубку"), "{page}");
    assert!(page.contains(&format!("Слишком тихо, подняли на {raised} дБ")), "{page}");
    assert!(!page.contains("клиппинг"), "{page}");
    school.upload("/prompts?line=parents&text=thanks", &cookie, form_of(&tone::wav_bytes(&overdriven))).await;
    let page = school.get("/prompts?line=parents&text=thanks", &cookie).await.text;
    assert!(page.contains("Слышно обрезание (клиппинг), запишите дальше от микрофона"), "{page}");
}

#[tokio::test]
async fn what_is_no_greeting_is_refused_in_words_and_leaves_nothing() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let too_long = tone::wav_bytes(&tone::speech_like(61_000, 1));
    for (file, status, words) in [
        (&b"%PDF-1.7 \x00"[..], 422, "Это не звуковой файл."),
        (&[], 422, "Выберите файл или запишите приветствие."),
        (&tone::wav_bytes(&tone::silence(3_000)), 422, "В файле тишина."),
        (&too_long, 422, "Длиннее 60 секунд."),
        (b"RIFF\x00\x00\x00\x00WAVE", 422, "Файл повреждён"),
        (&vec![1; LARGEST_UPLOAD + 1], 413, "Файл больше 10 МБ."),
        (&vec![1; 5 * LARGEST_UPLOAD], 413, "Файл больше 10 МБ."),
    ] {
        let refused = school.upload(TEXT, &cookie, form_of(file)).await;
        assert_eq!(refused.status.as_u16(), status, "{words}");
        assert!(refused.text.contains(words), "{words}: {}", refused.text);
        assert!(refused.text.contains("role=\"alert\"") && refused.text.contains("id=\"parents-closed\" open"));
    }
    let mut cut = form_of(&voice());
    cut.truncate(9_000);
    let refused = school.upload(TEXT, &cookie, cut).await;
    assert!(refused.status == StatusCode::BAD_REQUEST && refused.text.contains("Файл пришёл не целиком."));
    let no_form = school.post(TEXT, &cookie, "sound=x").await;
    assert_eq!(no_form.status, StatusCode::BAD_REQUEST);
    assert_eq!((school.versions().await.len(), school.files()), (0, 0));
}

#[tokio::test]
async fn a_draft_thrown_away_is_gone_from_the_disk_and_the_eleventh_is_refused() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let short = form_of(&tone::wav_bytes(&tone::speech_like(600, 1)));
    for _ in 0..10 {
        assert_eq!(school.upload(TEXT, &cookie, short.clone()).await.status, StatusCode::SEE_OTHER);
    }
    let refused = school.upload(TEXT, &cookie, short.clone()).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("У этого текста уже 10\u{a0}черновиков."), "{}", refused.text);
    assert_eq!(school.files(), 20, "the refused one left nothing");
    let id = school.versions().await[0].id;
    let dropped = school.post(&format!("/prompts/{id}/drop"), &cookie, "").await;
    assert_eq!(dropped.status, StatusCode::SEE_OTHER);
    assert_eq!((school.versions().await.len(), school.files()), (9, 18));
    assert_eq!(school.post(&format!("/prompts/{id}/on"), &cookie, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn greetings_are_for_seniors_and_the_microphone_for_this_page_alone() {
    let school = School::open().await;
    let officer = school.sign_in("madina").await;
    let refused = school.get("/prompts", &officer).await;
    assert!(
        refused.status == StatusCode::FORBIDDEN && refused.text.contains("нужна роль «Старший»"),
        "{}",
        refused.text
    );
    assert_eq!(school.upload(TEXT, &officer, form_of(&voice())).await.status, StatusCode::FORBIDDEN);
    for address in ["/prompts/1/on", "/prompts/1/off", "/prompts/1/drop"] {
        assert_eq!(school.post(address, &officer, "").await.status, StatusCode::FORBIDDEN, "{address}");
    }
    assert_eq!(school.get("/prompts/1/original", &officer).await.status, StatusCode::FORBIDDEN);
    assert_eq!(school.upload(TEXT, "", form_of(&voice())).await.status, StatusCode::UNAUTHORIZED);

    let senior = school.sign_in("aishat").await;
    let allowed =
        |answer: &Answer| answer.headers["permissions-policy"].to_str().unwrap().contains("microphone=(self)");
    assert!(allowed(&school.get("/prompts", &senior).await));
    assert!(allowed(&school.upload(TEXT, &senior, form_of(b"")).await), "another try needs it too");
    assert!(!allowed(&school.get("/callbacks", &senior).await));
    let strange = school.get("/prompts?line=nobody&text=else&did=new", &senior).await;
    assert_eq!(strange.status, StatusCode::OK);
    assert_eq!(
        school.upload("/prompts?line=nobody&text=closed", &senior, form_of(&voice())).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(school.versions().await.len(), 0);
}

#[tokio::test]
async fn a_form_on_somebody_elses_page_uploads_nothing() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let request = Request::post(TEXT)
        .header(CONTENT_TYPE, "multipart/form-data; boundary=XX")
        .header("sec-fetch-site", "cross-site")
        .header(COOKIE, cookie);
    let refused = school.send(request.body(Body::from(form_of(&voice()))).unwrap()).await;
    assert_eq!((refused.status, school.versions().await.len()), (StatusCode::FORBIDDEN, 0));
}

#[tokio::test]
async fn a_recording_of_a_text_that_has_changed_since_says_so() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    school.upload(TEXT, &cookie, form_of(&voice())).await;
    let page = school.get(TEXT, &cookie).await.text;
    assert!(!page.contains("Текст с тех пор изменился"), "{page}");
    let file = school._folder.path().join("perezvon.db");
    let mut lines: Vec<Line> = school.house.lines().iter().cloned().collect();
    lines[0].audience = "родителям".to_owned();
    let calendar = lines[0].calendar.clone();
    let store = Store::open(&format!("sqlite:{}", file.display()), Lines::new(lines, calendar)).await.unwrap();
    let house = House::on_trial(school._folder.path(), school.clock.clone(), store);
    let later = School { router: web::router(house.clone()), house, ..school };
    let page = later.get(TEXT, &cookie).await.text;
    assert!(
        page.contains(
            "Текст с тех пор изменился, запишите заново. Было: «Здравствуйте! Гимназия Культуры мира. Сейчас"
        )
    );
}
