//! What strangers may write into the log: the first rejection of a kind at once, all further ones of the next minute as one
//! line with their count. They come by the thousand a second; the metrics count each of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::warn;

const INTERVAL: Duration = Duration::from_secs(60);

/// Kinds of what strangers can make us write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    Signature,
    Token,
    UnknownProvider,
    TooLarge,
    TooSlow,
    Malformed,
    /// Read and kept, but without a part of it.
    Oddity,
    FailedSignIn,
    TooManyRequests,
    /// Connections that gave way to others.
    Evicted,
    TooManyOfAddress,
    NotAccepted,
    LateGreeting,
    UnreadableGreeting,
    IncompleteGreeting,
}

impl Rejection {
    /// For metrics and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "wrong signature",
            Self::Token => "wrong token",
            Self::UnknownProvider => "unknown provider",
            Self::TooLarge => "too large",
            Self::TooSlow => "too slow",
            Self::Malformed => "malformed",
            Self::Oddity => "odd",
            Self::FailedSignIn => "failed sign-in",
            Self::TooManyRequests => "too many requests",
            Self::Evicted => "connection gave way",
            Self::TooManyOfAddress => "too many connections of one address",
            Self::NotAccepted => "connection not accepted",
            Self::LateGreeting => "greeting not ready in time",
            Self::UnreadableGreeting => "greeting not readable",
            Self::IncompleteGreeting => "greeting lacks a sentence",
        }
    }
}

/// A kind, and the configured provider or line that it is about, or nothing. Never a word of the stranger's.
type Key = (Rejection, Arc<str>);

/// Counts rejections between two lines of the log. Cheap to clone.
#[derive(Clone, Default)]
pub struct RejectionLog(Arc<Mutex<HashMap<Key, u64>>>);

impl RejectionLog {
    /// Whether this rejection is worth a line of its own. Otherwise it is counted, and the count is written when the minute is
    /// over that began with the first one.
    pub fn is_first(&self, kind: Rejection, subject: &str) -> bool {
        let key = (kind, Arc::from(subject));
        match self.counts().entry(key) {
            Entry::Occupied(mut further) => {
                *further.get_mut() += 1;
                return false;
            }
            Entry::Vacant(first) => {
                let (log, key) = (self.clone(), first.key().clone());
                tokio::spawn(async move {
                    tokio::time::sleep(INTERVAL).await;
                    log.end_interval(&key);
                });
                first.insert(0);
            }
        }
        true
    }

    /// Writes how many there were besides the first, if any. The next one is a first one again.
    fn end_interval(&self, key: &Key) {
        let count = self.counts().remove(key).unwrap_or(0);
        let (kind, subject) = (key.0.as_str(), &key.1);
        if count > 0 {
            let seconds = INTERVAL.as_secs();
            warn!(kind, subject = %subject, count, "Rejected {count} more within {seconds} s: {kind}");
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Key, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing::subscriber::with_default;

    use super::*;

    /// Takes what would be written to the log.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Threat: 2,000 refusals a second write a megabyte a second.
    #[tokio::test]
    async fn repeated_rejections_are_one_line_with_a_count() {
        let (log, lines) = (RejectionLog::default(), Lines::default());
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        let reject = |kind| {
            if log.is_first(kind, "twilio") {
                warn!("Refused a webhook");
            }
        };
        with_default(subscriber, || {
            (0..2001).for_each(|_| reject(Rejection::Signature));
            reject(Rejection::Malformed);
            for kind in [Rejection::Signature, Rejection::Malformed] {
                log.end_interval(&(kind, "twilio".into()));
            }
            reject(Rejection::Signature);
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert_eq!(text.matches("Refused a webhook").count(), 3, "the first of each kind, and the first afterwards");
        assert!(text.contains("Rejected 2000 more within 60 s: wrong signature"), "{text}");
    }
}
