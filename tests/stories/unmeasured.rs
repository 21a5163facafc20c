//! Copy first, understand later: sound that nobody here understands is kept, and costs no original (R23).

use axum::response::IntoResponse;
use perezvon::core::officer::Role;
use perezvon::recordings::tone;
use perezvon::store::VoicemailState;
use serde_json::Value;

use crate::fetching::{a_message_at, scripted, stored_bytes, voicemail};
use crate::harness::{App, stories};

/// A message of seven seconds, as its provider said, whose file is this.
async fn a_message_of(app: &App, file: &[u8]) {
    let body = bytes::Bytes::copy_from_slice(file);
    let (base, _) = scripted(app, move || body.clone().into_response()).await;
    for table in ["voicemail", "job", "callback", "call", "call_key", "alarm"] {
        app.sql(&format!("DELETE FROM {table}")).await;
    }
    a_message_at(app, &base).await;
}

fn speech() -> Vec<u8> {
    tone::wav_bytes(&tone::speech_like(7_000, 2))
}

/// The same file with another word in its header.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = speech();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

fn mp3() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sound/voice.mp3")).unwrap()
}

stories! {
    /// It was once tried for a week and then given up, or told as silence of the type application/octet-stream.
    async fn sound_that_cannot_be_measured_is_kept_and_not_silent(app) {
        let mut madina = app.browser("Мадина И.", Role::Officer).await;
        for (file, content_type, ending) in [
            (with(20, &[0x31]), "audio/wav", "wav"),
            (with(20, &[0x11]), "audio/wav", "wav"),
            (b"#!AMR\n\x04\x92\0\x67".repeat(50), "audio/amr", "amr"),
            ([&b"FORM\0\0\x10\0AIFFCOMM"[..], &[7; 4096]].concat(), "audio/aiff", "aiff"),
            ([&b"\x1a\x45\xdf\xa3"[..], &[7; 4096]].concat(), "audio/webm", "webm"),
            ([0x0e, 0, 0x23, 0, 9, 0, 8, 0].repeat(500), "application/octet-stream", "bin"),
        ] {
            a_message_of(app, &file).await;
            app.run_jobs().await;
            assert_eq!(voicemail(app).await.state, VoicemailState::Pending, "{ending}: it may be another a moment later");
            app.run_all_jobs().await;
            let kept = voicemail(app).await;
            assert_eq!(kept.state, VoicemailState::Stored, "{ending}");
            assert_eq!((stored_bytes(app).await, kept.deleted_at_provider_at), (file, None), "{ending}");
            let sound = kept.sound.unwrap();
            assert_eq!((sound.content_type.as_str(), sound.damage.as_str()), (content_type, ""), "{ending}");
            assert!(sound.name.ends_with(ending), "{}", sound.name);
            assert_eq!(app.alarm_kinds().await, ["recording_unmeasured"], "{ending}");
            let page = madina.get("/callbacks").await.body;
            assert!(page.contains("Не удалось измерить, послушайте") && !page.contains("не слышно речи"), "{ending}");
            let api: Value = serde_json::from_str(&madina.get("/api/v1/callbacks").await.body).unwrap();
            let message = &api["items"][0]["voicemails"][0];
            assert_eq!((&message["has_speech"], &message["duration_ms"]), (&Value::Null, &Value::Null), "{ending}");
            assert!(message["audio_url"].is_string(), "{ending}");
        }
    }

    /// Each of them raised an alarm, and none was ever deleted at its provider.
    async fn healthy_files_of_odd_writers_raise_no_alarm(app) {
        let samples = speech()[44..].len() as u32;
        for (what, file) in [
            ("no length", with(40, &[0; 4])),
            ("ffmpeg into a pipe", with(40, &[0xff; 4])),
            ("sox into a pipe", with(40, &0x7fff_f000_u32.to_le_bytes())),
            ("half the length", with(40, &(samples / 2).to_le_bytes())),
            ("bytes a frame", with(32, &[4])),
        ] {
            a_message_of(app, &file).await;
            app.run_all_jobs().await;
            let kept = voicemail(app).await;
            assert!(kept.deleted_at_provider_at.is_some(), "{what}");
            assert_eq!(kept.sound.unwrap().length_ms, 7_000, "{what}");
            assert_eq!(app.alarm_kinds().await, Vec::<String>::new(), "{what}");
            assert_eq!(stored_bytes(app).await[40..44], samples.to_le_bytes(), "{what}: every player finds the end");
        }
    }

    async fn a_cut_file_costs_no_original(app) {
        let whole = mp3();
        let three_and_a_half_seconds = tone::wav_bytes(&tone::speech_like(3_500, 2));
        for (what, file) in [("MP3", &whole[..whole.len() / 2]), ("half of what was told", &three_and_a_half_seconds)] {
            a_message_of(app, file).await;
            if what == "MP3" {
                app.sql("UPDATE voicemail SET provider_seconds = NULL").await;
            }
            app.run_all_jobs().await;
            let kept = voicemail(app).await;
            assert_eq!((kept.state, kept.deleted_at_provider_at), (VoicemailState::Stored, None), "{what}");
            assert!(!kept.sound.unwrap().damage.is_empty(), "{what}");
            assert_eq!(app.alarm_kinds().await, ["recording_damaged"], "{what}");
        }
    }
}
