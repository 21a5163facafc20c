//! Files that are uploaded, fetched or written by hand, and words that are typed.

use perezvon::app::config;
use perezvon::core::calendar::{DataSet, Hours, HolidayData, read_ics, write_ics};
use perezvon::core::phone::PhoneNumber;
use perezvon::core::search::Search;
use perezvon::recordings::{self, prompt};
use perezvon::store::{CallPage, CallbackPage};
use perezvon::time::Timestamp;

/// Sound of a caller or of an administrator. What has set lengths right keeps its bytes.
pub fn recording(bytes: &[u8]) {
    drop(recordings::sniff(bytes));
    if let Ok(sound) = recordings::analyse(bytes) {
        let measured = recordings::measure(bytes).expect("what is analysed is measured");
        assert_eq!(sound.sound, measured);
    }
    drop(recordings::with_true_lengths(bytes));
    drop(prompt::prepare(bytes));
}

/// A calendar of days off. What we write of it reads back.
pub fn ics(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok((events, _)) = read_ics(text) else { return };
    let written = write_ics("Дни", &events, Timestamp::UNIX_EPOCH);
    let (again, mistakes) = read_ics(&written).expect("we wrote it");
    assert_eq!((again, mistakes.as_slice()), (events, &[][..]), "{written}");
}

/// Published holidays, and the hours of a line as JSON.
pub fn holidays(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for set in DataSet::ALL {
        if let Ok(data) = HolidayData::built_in().with(set, text) {
            assert!(!format!("{data:?}").is_empty());
        }
    }
    if let Ok(value) = serde_json::from_slice(bytes) {
        drop(Hours::from_json(&value));
    }
}

/// `perezvon.toml`. Every mistake is a sentence.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(mistakes) = config::parse(text, None, []) {
        assert!(!mistakes.to_string().is_empty());
    }
}

/// Cursors, numbers and searches, as they come in a query. A number that is read is read again from what is stored.
pub fn words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(cursor) = CallbackPage::parse_cursor(text) {
        assert_eq!(CallbackPage::parse_cursor(&CallbackPage::cursor(cursor)), Some(cursor));
    }
    if let Some(cursor) = CallPage::parse_cursor(text) {
        assert_eq!(CallPage::parse_cursor(&CallPage::cursor(cursor)), Some(cursor));
    }
    if let Ok(number) = PhoneNumber::parse(text) {
        assert_eq!(PhoneNumber::parse(number.e164()).as_ref(), Ok(&number));
    }
    drop(Search::parse(text));
}
