//! The name of a recording inside its folder, and the checksum of what it names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use crate::time::{TimeZone, Timestamp};

/// `YYYY/MM/ID.ext`: year and month (UTC) of the message, the id of its voicemail, the ending of its format. Greetings
/// are `prompts/NAME.wav` and `prompts/NAME-original.ext`; sound that came by itself waits as `arrived/ID.raw`. Cannot point outside of the folder, which is all a database row
/// can then do to us.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingName(String);

/// The folder of the greetings inside the folder of recordings.
const PROMPTS: &str = "prompts/";
const UPLOADED: &str = "-original";
/// The folder of the sound that came by itself.
pub(super) const ARRIVED: &str = "arrived/";
/// Nobody has looked yet what is in it.
const UNSEEN: &str = "raw";

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a recording is named YYYY/MM/ID.ext or prompts/NAME.ext, not {0:?}")]
pub struct BadRecordingName(String);

impl RecordingName {
    /// The name of this voicemail's recording; `extension` without its dot, as in [`super::Container::extension`].
    pub fn of(voicemail_id: i64, received_at: Timestamp, extension: &str) -> Result<Self, BadRecordingName> {
        let date = received_at.to_zoned(TimeZone::UTC).date();
        format!("{:04}/{:02}/{voicemail_id}.{extension}", date.year(), date.month()).parse()
    }

    /// The name of a greeting as callers hear it; `name` has 32 hexadecimal digits.
    pub fn of_prompt(name: &str) -> Result<Self, BadRecordingName> {
        format!("{PROMPTS}{name}.wav").parse()
    }

    /// The name of a greeting as it was uploaded; `extension` without its dot.
    pub fn of_uploaded_prompt(name: &str, extension: &str) -> Result<Self, BadRecordingName> {
        format!("{PROMPTS}{name}{UPLOADED}.{extension}").parse()
    }

    /// Where the sound of this voicemail waits to be looked at, as its provider sent it.
    pub fn of_arrived(voicemail_id: i64) -> Result<Self, BadRecordingName> {
        format!("{ARRIVED}{voicemail_id}.{UNSEEN}").parse()
    }

    /// Whose sound it is; `None`: a greeting.
    pub fn voicemail_id(&self) -> Option<i64> {
        let (folder, file) = self.0.rsplit_once('/')?;
        if folder == PROMPTS.trim_end_matches('/') { None } else { file.split_once('.')?.0.parse().ok() }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ending of the file, without its dot.
    pub fn extension(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or_default()
    }

    pub(super) fn inside(&self, folder: &Path) -> PathBuf {
        folder.join(&self.0)
    }
}

impl FromStr for RecordingName {
    type Err = BadRecordingName;

    /// Accepts exactly what [`RecordingName::of`] makes: digits, two slashes, one dot, a short lower-case ending; and what
    /// [`RecordingName::of_prompt`], [`RecordingName::of_uploaded_prompt`] and [`RecordingName::of_arrived`] make.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let extends = |end: &str| {
            (2..=4).contains(&end.len()) && end.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
        };
        let is_prompt = || {
            let (name, extension) = text.strip_prefix(PROMPTS)?.split_once('.')?;
            let name = name.strip_suffix(UPLOADED).unwrap_or(name);
            let hex = name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            (name.len() == 32 && hex && extends(extension)).then_some(())
        };
        let is_good = || {
            let (year, rest) = text.split_once('/')?;
            let (month, file) = rest.split_once('/')?;
            let (id, extension) = file.split_once('.')?;
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let good = year.len() == 4
                && digits(year)
                && month.len() == 2
                && digits(month)
                && (1..=12).contains(&month.parse::<u8>().ok()?)
                && digits(id)
                && id == id.parse::<i64>().ok()?.to_string()
                && extends(extension);
            good.then_some(())
        };
        let is_arrived = || {
            let id = text.strip_prefix(ARRIVED)?.strip_suffix(UNSEEN)?.strip_suffix('.')?;
            (id.parse::<i64>().ok()?.to_string() == id && !id.starts_with('-')).then_some(())
        };
        is_good()
            .or_else(is_prompt)
            .or_else(is_arrived)
            .map(|()| Self(text.to_owned()))
            .ok_or_else(|| BadRecordingName(text.to_owned()))
    }
}

impl fmt::Display for RecordingName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The SHA-256 of a file. Written and read as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum(pub [u8; 32]);

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a checksum has 64 hexadecimal digits")]
pub struct BadChecksum;

impl fmt::Display for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Checksum({self})")
    }
}

impl FromStr for Checksum {
    type Err = BadChecksum;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadChecksum);
        }
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| BadChecksum)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_the_voicemail_and_its_month() {
        let at: Timestamp = "2026-11-30T23:30:00Z".parse().unwrap();
        assert_eq!(RecordingName::of(17, at, "wav").unwrap().as_str(), "2026/11/17.wav");
        assert!(RecordingName::of(-1, at, "wav").is_err());
        assert!(RecordingName::of(17, at, "wav/../../x").is_err());
    }

    #[test]
    fn sound_that_came_by_itself_waits_under_the_number_of_its_voicemail() {
        assert_eq!(RecordingName::of_arrived(17).unwrap().as_str(), "arrived/17.raw");
        assert!(RecordingName::of_arrived(-17).is_err());
    }

    #[test]
    fn a_name_that_leaves_the_folder_is_refused() {
        for text in [
            "arrived/../17.raw",
            "arrived/017.raw",
            "arrived/17.wav",
            "",
            "/etc/passwd",
            "../../etc/passwd",
            "2026/11/../../../x.wav",
            "2026/11/17.wav/..",
            "2026/../17.wav",
            "2026\\11\\17.wav",
            "2026/11/17",
            "2026/11/.wav",
            "2026/11/17..wav",
            "2026/11/17.WAV",
            "2026/11/17.wav\0",
            "2026/11/017.wav",
            "2026/11/+17.wav",
            "2026/13/17.wav",
            "2026/1/17.wav",
            "20 6/11/17.wav",
            "２０２６/11/17.wav",
            "2026/11/99999999999999999999.wav",
            ".partial/11/17.wav",
            "prompts/17.wav",
            "prompts/0123456789abcdef0123456789abcdeg.wav",
            "prompts/0123456789ABCDEF0123456789ABCDEF.wav",
            "prompts/0123456789abcdef0123456789abcdef",
            "prompts/0123456789abcdef0123456789abcdef.wav/x",
            "prompts/../0123456789abcdef0123456789abcdef.wav",
            "prompts/0123456789abcdef0123456789abcdef-original-original.wav",
        ] {
            assert!(text.parse::<RecordingName>().is_err(), "{text:?}");
        }
        assert_eq!("2026/11/17.wav".parse::<RecordingName>().unwrap().to_string(), "2026/11/17.wav");
    }

    #[test]
    fn a_greeting_is_named_by_its_random_name() {
        let name = "0123456789abcdef0123456789abcdef";
        assert_eq!(RecordingName::of_prompt(name).unwrap().as_str(), format!("prompts/{name}.wav"));
        let uploaded = RecordingName::of_uploaded_prompt(name, "m4a").unwrap();
        assert_eq!(uploaded.as_str(), format!("prompts/{name}-original.m4a"));
        assert!(RecordingName::of_prompt("../x").is_err() && RecordingName::of_uploaded_prompt(name, "M4A").is_err());
    }

    #[test]
    fn a_checksum_reads_back_as_it_was_written() {
        let checksum = Checksum(std::array::from_fn(|n| n as u8 * 7));
        assert_eq!(checksum.to_string().parse(), Ok(checksum));
        for text in ["", "12", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(text.parse::<Checksum>(), Err(BadChecksum), "{text}");
        }
    }
}
