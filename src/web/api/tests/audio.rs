use super::*;

const SOUND: &[u8] = b"0123456789";

/// A stored message of ten bytes, and its address.
async fn with_sound() -> (School, String) {
    let school = School::at(FRIDAY_EVENING).await;
    let callback = school.leaves_a_message(CALLER).await;
    let voicemail = school.callback(&callback).await["voicemails"][0].clone();
    let id = school.stores_sound(&voicemail, SOUND, 5_000).await;
    (school, format!("/api/v1/voicemails/{id}/audio"))
}

impl School {
    async fn hears(&self, path: &str, headers: &[(&str, &str)]) -> Answered {
        let request =
            headers.iter().fold(signed(OFFICER, "GET", path), |request, (name, value)| request.header(*name, *value));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn times_listened(&self) -> i64 {
        self.times("listen").await
    }

    async fn times(&self, action: &str) -> i64 {
        let database = self.database().await;
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM audit WHERE action = $1").bind(action);
        let count = count.fetch_one(&database).await;
        database.close().await;
        count.unwrap()
    }
}

#[tokio::test]
async fn the_whole_sound_is_private_and_has_its_checksum_as_name() {
    let (school, path) = with_sound().await;
    let whole = school.hears(&path, &[]).await;
    assert_eq!((whole.status, &*whole.bytes), (StatusCode::OK, SOUND));
    for (name, value) in [
        ("content-type", "audio/wav"),
        ("content-length", "10"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", ""),
        ("etag", "\"84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882\""),
    ] {
        assert_eq!(whole.header(name), value, "{name}");
    }
    let saved = school.hears(&format!("{path}?download=1"), &[]).await;
    assert!(saved.header("content-disposition").starts_with("attachment; filename=\"voicemail-"));
    let known = school.hears(&path, &[("if-none-match", whole.header("etag"))]).await;
    assert_eq!((known.status, known.bytes.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!((school.times_listened().await, school.times("download").await), (1, 1));
}

#[tokio::test]
async fn a_player_gets_the_range_it_asks_for() {
    let (school, path) = with_sound().await;
    for (range, expected, told) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=0-", "0123456789", "bytes 0-9/10"),
        ("bytes=5-", "56789", "bytes 5-9/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=-5", "56789", "bytes 5-9/10"),
        ("bytes=-500", "0123456789", "bytes 0-9/10"),
        ("bytes=8-99999999999999999999999", "89", "bytes 8-9/10"),
        ("Bytes=9-9", "9", "bytes 9-9/10"),
    ] {
        let part = school.hears(&path, &[("range", range)]).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!((&*part.bytes, part.header("content-range")), (expected.as_bytes(), told), "{range}");
        assert_eq!(part.header("content-length"), expected.len().to_string(), "{range}");
    }
}

#[tokio::test]
async fn a_range_behind_the_end_is_told_the_size() {
    let (school, path) = with_sound().await;
    for range in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
        let beyond = school.hears(&path, &[("range", range)]).await;
        beyond.problem(416);
        assert_eq!(beyond.header("content-range"), "bytes */10", "{range}");
    }
}

#[tokio::test]
async fn what_is_no_range_or_several_gives_the_whole() {
    let (school, path) = with_sound().await;
    for range in ["bytes=0-1,4-5", "bytes", "bytes=", "bytes=-", "bytes=4-2", "bytes=a-b", "seconds=1-2", "bytes=+1-2"]
    {
        let whole = school.hears(&path, &[("range", range)]).await;
        assert_eq!((whole.status, &*whole.bytes), (StatusCode::OK, SOUND), "{range}");
    }
    let changed = school.hears(&path, &[("range", "bytes=5-"), ("if-range", "\"other\"")]).await;
    assert_eq!(changed.status, StatusCode::OK);
}

#[tokio::test]
async fn each_listening_is_written_down_once_however_many_parts_it_takes() {
    let (school, path) = with_sound().await;
    school.send(signed(OFFICER, "HEAD", &path).body(Body::empty()).unwrap()).await;
    school.hears(&path, &[("range", "bytes=50-")]).await;
    school.get(OBSERVER, &path).await.problem(403);
    assert_eq!(school.times_listened().await, 0, "nobody heard anything");
    school.hears(&path, &[]).await;
    school.hears(&path, &[("range", "bytes=0-4")]).await;
    school.hears(&path, &[("range", "bytes=5-")]).await;
    assert_eq!(school.times_listened().await, 1);
    school.get(COLLEAGUE, &path).await;
    assert_eq!(school.times_listened().await, 2, "another person");
    school.moves_to("2026-11-20T19:40:01+03:00");
    school.hears(&path, &[]).await;
    assert_eq!(school.times_listened().await, 3, "another time");
}

#[tokio::test]
async fn whoever_skips_the_first_byte_is_written_down_all_the_same() {
    let (school, path) = with_sound().await;
    let part = school.hears(&path, &[("range", "bytes=1-")]).await;
    assert_eq!(&*part.bytes, &SOUND[1..]);
    assert_eq!(school.times_listened().await, 1);
}

#[tokio::test]
async fn a_sound_that_is_not_here_says_where_it_is() {
    let school = School::at(FRIDAY_EVENING).await;
    let callback = school.leaves_a_message(CALLER).await;
    let voicemail = school.callback(&callback).await["voicemails"][0].clone();
    let id: i64 = voicemail["id"].as_str().unwrap().parse().unwrap();
    let path = format!("/api/v1/voicemails/{id}/audio");
    assert_eq!(school.get(OFFICER, &path).await.problem(404)["type"], "urn:perezvon:voicemail-pending");
    school.house.store.voicemail_failed(id, "404 from the provider").await.unwrap();
    assert_eq!(school.get(OFFICER, &path).await.problem(404)["type"], "urn:perezvon:voicemail-failed");
    let failed = &school.callback(&callback).await["voicemails"][0];
    assert_eq!((&failed["state"], &failed["failure"]), (&json!("failed"), &json!("404 from the provider")));
    school.stores_sound(&voicemail, SOUND, 0).await;
    let name = format!("2026/11/{id}.wav").parse().unwrap();
    assert!(school.house.folder.remove(&name).await.unwrap());
    assert_eq!(school.get(OFFICER, &path).await.problem(404)["type"], "urn:perezvon:sound-missing");
    school.get(OFFICER, "/api/v1/voicemails/1/audio").await.problem(404);
}

#[tokio::test]
async fn the_words_of_a_message_are_for_those_who_may_listen() {
    let school = School::at(FRIDAY_EVENING).await;
    let callback = school.leaves_a_message(CALLER).await;
    let voicemail = school.callback(&callback).await["voicemails"][0].clone();
    assert_eq!((&voicemail["transcript"], &voicemail["said_number"]), (&Value::Null, &Value::Null));
    let id = school.stores_sound(&voicemail, b"0123456789", 5_000).await;
    let text = Some("Перезвоните на 8 928 832-80-88".to_owned());
    school.house.store.voicemail_transcribed(id, text, "small", school.house.clock.now()).await.unwrap();
    let call = voicemail["call_id"].as_str().unwrap();
    for path in [
        "/api/v1/callbacks".to_owned(),
        format!("/api/v1/callbacks/{callback}"),
        "/api/v1/calls".to_owned(),
        format!("/api/v1/calls/{call}"),
    ] {
        let told = school.get(OFFICER, &path).await.json().to_string();
        assert!(
            told.contains("Перезвоните на 8 928") && told.contains("\"said_number\":\"+79288328088\""),
            "{path}: {told}"
        );
        let told = school.get(OBSERVER, &path).await.json().to_string();
        assert!(told.contains("\"transcript\":null") && !told.contains("Перезвоните"), "{path}: {told}");
    }
}
