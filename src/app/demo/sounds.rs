//! What the callers say. A person's voice where the Debian package asterisk-core-sounds-ru-wav is installed
//! (recordings by Maxim Topal, www.ivrvoice.ru, CC-BY 3.0, read where they lie), a generated one elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::recordings::{SOUND_FOLDERS, tone};

/// Whole sentences among the prompts that a person in trouble could say.
const SENTENCES: [&str; 12] = [
    "something-terribly-wrong",
    "sorry-youre-having-problems",
    "cannot-complete-as-dialed",
    "number-not-answering",
    "vm-nobodyavail",
    "please-try-again",
    "pls-try-call-later",
    "check-number-dial-again",
    "all-circuits-busy-now",
    "vm-tocallback",
    "feature-not-avail-line",
    "demo-nomatch",
];

/// The breath between two sentences, and between two digits.
const PAUSE_MS: u32 = 250;

/// What is on the line while the caller is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// A message of about this length. `voice` chooses who speaks and what; `number` is read out digit by digit when
    /// there is time for it.
    Speech {
        length_ms: u32,
        voice: u64,
        number: String,
    },
    /// The tone of a line that was put down at the other end.
    BusyTone {
        length_ms: u32,
    },
    Silence {
        length_ms: u32,
    },
}

/// The voices at hand.
#[derive(Clone)]
pub struct Voices {
    /// Makes so many milliseconds of a voice from a seed; used when there is no person's voice.
    speech: fn(u32, u64) -> Vec<i16>,
    person: Option<Arc<Person>>,
}

/// One person's prompts, 8 kHz, mono, 16 bits.
struct Person {
    hello: Vec<i16>,
    goodbye: Vec<i16>,
    sentences: Vec<Vec<i16>>,
    digits: Vec<Vec<i16>>,
}

impl Voices {
    /// Generated voices only.
    pub fn generated() -> Self {
        Self { speech: tone::speech_like, person: None }
    }

    /// A person's voice if one is installed, generated ones otherwise.
    pub fn installed() -> Self {
        let person = SOUND_FOLDERS.iter().find_map(|folder| Person::read(Path::new(folder)));
        Self { person: person.map(Arc::new), ..Self::generated() }
    }

    pub fn is_human(&self) -> bool {
        self.person.is_some()
    }

    /// The samples of a sound, 8 kHz, mono. The same sound gives the same samples.
    pub fn samples(&self, sound: &Sound) -> Vec<i16> {
        match (sound, &self.person) {
            (Sound::Silence { length_ms }, _) => tone::silence(*length_ms),
            (Sound::BusyTone { length_ms }, _) => tone::busy_tone(*length_ms),
            (Sound::Speech { length_ms, voice, number }, Some(person)) => person.message(*length_ms, *voice, number),
            (Sound::Speech { length_ms, voice, .. }, None) => (self.speech)(*length_ms, *voice),
        }
    }
}

impl Person {
    fn read(folder: &Path) -> Option<Self> {
        let prompt = |name: &str| read_prompt(folder.join(name).with_extension("wav"));
        let sentences: Vec<_> = SENTENCES.iter().filter_map(|name| prompt(name)).collect();
        let digits = (0..10).map(|digit| prompt(&format!("digits/{digit}"))).collect::<Option<_>>()?;
        let person = Self { hello: prompt("hello")?, goodbye: prompt("vm-goodbye")?, sentences, digits };
        (person.sentences.len() >= 4).then_some(person)
    }

    /// Greets, tells the trouble, reads the number, takes leave: of whole prompts, so about as long as wished.
    fn message(&self, length_ms: u32, voice: u64, number: &str) -> Vec<i16> {
        let wished = length_ms as usize * tone::SAMPLE_RATE as usize / 1_000;
        let pause = tone::silence(PAUSE_MS);
        let mut ending = Vec::new();
        for digit in number.chars().filter_map(|digit| digit.to_digit(10)) {
            ending.extend_from_slice(&self.digits[digit as usize]);
        }
        ending.extend_from_slice(&pause);
        if ending.len() + self.hello.len() > wished {
            ending.clear();
        }
        ending.extend_from_slice(&self.goodbye);

        let mut message = self.hello.clone();
        let first = usize::try_from(voice % self.sentences.len() as u64).unwrap_or(0);
        for sentence in self.sentences.iter().cycle().skip(first).take(self.sentences.len() * 20) {
            if message.len() + ending.len() + sentence.len() / 2 > wished {
                break;
            }
            message.extend_from_slice(&pause);
            message.extend_from_slice(sentence);
        }
        if message.len() + self.goodbye.len() <= wished {
            message.extend_from_slice(&pause);
            message.extend_from_slice(&ending);
        }
        at_pitch(&message, 94 + voice % 4 * 5)
    }
}

/// The same words by another throat: played at so many hundredths of the speed.
fn at_pitch(samples: &[i16], percent: u64) -> Vec<i16> {
    let percent = usize::try_from(percent.max(1)).unwrap_or(100);
    (0..samples.len() * 100 / percent)
        .map(|n| {
            let (place, part) = (n * percent / 100, (n * percent % 100) as i32);
            let (this, next) = (i32::from(samples[place]), i32::from(*samples.get(place + 1).unwrap_or(&0)));
            i16::try_from(this + (next - this) * part / 100).unwrap_or(0)
        })
        .collect()
}

fn read_prompt(path: PathBuf) -> Option<Vec<i16>> {
    let mut reader = hound::WavReader::open(path).ok()?;
    let spec = reader.spec();
    let telephone = spec.sample_rate == tone::SAMPLE_RATE && spec.channels == 1 && spec.bits_per_sample == 16;
    let samples = reader.samples::<i16>().collect::<Result<Vec<_>, _>>().ok()?;
    (telephone && !samples.is_empty()).then_some(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(length_ms: u32, voice: u64) -> Sound {
        Sound::Speech { length_ms, voice, number: "89280000112".to_owned() }
    }

    #[test]
    fn a_generated_message_is_as_long_as_wished() {
        assert_eq!(Voices::generated().samples(&speech(4_000, 1)).len(), 32_000);
        assert_eq!(Voices::generated().samples(&Sound::Silence { length_ms: 1_000 }), vec![0; 8_000]);
    }

    #[test]
    fn a_persons_message_is_about_as_long_as_wished_and_always_the_same() {
        let voices = Voices::installed();
        if !voices.is_human() {
            return;
        }
        for (length_ms, voice) in [(8_000, 1), (14_000, 2), (21_000, 3), (60_000, 4)] {
            let samples = voices.samples(&speech(length_ms, voice));
            let made_ms = samples.len() as u32 / 8;
            assert!(made_ms.abs_diff(length_ms) < 3_500, "{made_ms} ms instead of {length_ms}");
            assert_eq!(samples, voices.samples(&speech(length_ms, voice)));
        }
    }

    #[test]
    fn without_the_package_there_is_no_person() {
        assert!(Person::read(Path::new("/nowhere")).is_none());
    }
}
