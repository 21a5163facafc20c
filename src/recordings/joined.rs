//! Greetings joined of the school's recordings and of words, as exchanges fetch them. Those made last are kept in
//! memory, so that no disk is read while a caller waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::folder::blocking;
use super::prompt::{LONGEST_UPLOAD_MS, at_one_loudness};
use super::{Checksum, Folder, NoWord, PhoneSound, RecordingName, SoundFolder, Sounds, Vocabulary};
use crate::core::announcement::{Piece, Sentence, Word};
use crate::core::greetings::Recorded;

/// Kept in memory at most, bytes: greetings of ten lines for two reasons, as long as they usually are.
const MOST_BYTES: usize = 6 * 1024 * 1024;

/// A greeting that is ready to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// A whole WAV file: 8 kHz, one channel, 16 bits.
    pub wav: Bytes,
    /// SHA-256 of the file.
    pub sum: Checksum,
}

/// Why a greeting cannot be joined.
#[derive(Debug, Error)]
pub enum NotJoined {
    /// The school's recording is lost or damaged.
    #[error("the recording {name} cannot be read: {why}")]
    Recording { name: Arc<str>, why: String },
    #[error(transparent)]
    NoWord(#[from] NoWord),
}

/// Joins greetings. A clone shares the memory.
#[derive(Clone, Debug)]
pub struct Joiner {
    folder: Folder,
    sounds: Sounds,
    made: Arc<Mutex<Made>>,
}

/// Greetings by what they are made of, the one asked for last at the end.
type Made = VecDeque<(Vec<Piece>, Joined)>;

impl Joiner {
    /// `folder` holds the school's recordings.
    pub fn new(folder: Folder, sounds: Sounds) -> Self {
        Self { folder, sounds, made: Arc::default() }
    }

    /// The greeting of these pieces. The same pieces always give the same bytes.
    pub async fn join(&self, pieces: &[Piece]) -> Result<Joined, NotJoined> {
        if let Some(known) = self.known(pieces) {
            return Ok(known);
        }
        let mut recordings = Vec::new();
        for piece in pieces {
            if let Piece::Recorded(recorded) = piece {
                recordings.push(self.recording(recorded).await?);
            }
        }
        let (sounds, of) = (self.sounds.clone(), pieces.to_vec());
        let joined = blocking(move || joined(&sounds, &of, recordings)).await?;
        self.keep(pieces, &joined);
        Ok(joined)
    }

    /// The sentences whose words can all be spoken, and what the first other one lacks. Recordings are taken to be there.
    pub async fn speakable(&self, sentences: Vec<Sentence>) -> (Vec<Sentence>, Option<NoWord>) {
        let sounds = self.sounds.clone();
        blocking(move || {
            let (package, mut lacking) = (sounds.find(), None);
            let mut is_speakable = |sentence: &Sentence| {
                let no_word = words(sentence).find_map(|word| say(&sounds, package.as_ref(), word).err());
                let speakable = no_word.is_none();
                lacking = lacking.take().or(no_word);
                speakable
            };
            (sentences.into_iter().filter(|sentence| is_speakable(sentence)).collect(), lacking)
        })
        .await
    }

    /// The sound package in use and what it lacks; `None` where there is none.
    pub async fn vocabulary(&self) -> Option<(SoundFolder, Vocabulary)> {
        let sounds = self.sounds.clone();
        blocking(move || {
            let folder = sounds.find()?;
            let found = folder.vocabulary();
            Some((folder, found))
        })
        .await
    }

    async fn recording(&self, Recorded { name, .. }: &Recorded) -> Result<PhoneSound, NotJoined> {
        let lost = |why: String| NotJoined::Recording { name: name.clone(), why };
        let file = RecordingName::of_prompt(name).map_err(|bad| lost(bad.to_string()))?;
        let bytes = self.folder.read(&file).await.map_err(|error| lost(error.to_string()))?;
        PhoneSound::read(&bytes, LONGEST_UPLOAD_MS).map_err(|unplayable| lost(unplayable.to_string()))
    }

    fn known(&self, pieces: &[Piece]) -> Option<Joined> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let place = made.iter().position(|(of, _)| of == pieces)?;
        let known = made.remove(place)?;
        made.push_back(known.clone());
        Some(known.1)
    }

    fn keep(&self, pieces: &[Piece], joined: &Joined) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|(of, _)| of != pieces);
        made.push_back((pieces.to_vec(), joined.clone()));
        while made.iter().map(|(_, joined)| joined.wav.len()).sum::<usize>() > MOST_BYTES {
            made.pop_front();
        }
    }
}

fn words(pieces: &[Piece]) -> impl Iterator<Item = Word> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Word(word) => Some(*word),
        Piece::Pause(_) | Piece::Recorded(_) => None,
    })
}

fn say(sounds: &Sounds, package: Option<&SoundFolder>, word: Word) -> Result<Option<PhoneSound>, NoWord> {
    package.ok_or_else(|| NoWord::NoPackage(sounds.clone()))?.say(word)
}

/// The words between two recordings are one phrase: it is brought to the recordings' loudness as a whole, and only where it
/// is not near it.
fn joined(sounds: &Sounds, pieces: &[Piece], recordings: Vec<PhoneSound>) -> Result<Joined, NoWord> {
    let package = sounds.find();
    let mut recordings = recordings.into_iter();
    let (mut greeting, mut phrase) = (PhoneSound::default(), PhoneSound::default());
    for piece in pieces {
        match piece {
            Piece::Pause(length_ms) => phrase = phrase.then(*length_ms, &PhoneSound::default()),
            Piece::Word(word) => {
                if let Some(sound) = say(sounds, package.as_ref(), *word)? {
                    phrase = phrase.then(0, &sound);
                }
            }
            Piece::Recorded(_) => {
                greeting = greeting.then(0, &at_one_loudness(std::mem::take(&mut phrase)));
                greeting = greeting.then(0, &recordings.next().unwrap_or_default());
            }
        }
    }
    let wav = greeting.then(0, &at_one_loudness(phrase)).wav();
    Ok(Joined { sum: Checksum(Sha256::digest(&wav).into()), wav: wav.into() })
}

#[cfg(test)]
mod tests;
