//! What is published, made once: it is asked for by everybody and changes seldom.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use crate::core::calendar::Calendar;
use crate::core::line::{LineId, Lines};
use crate::time::{Timestamp, ToSpan};
use crate::web::House;
use crate::web::document::Document;
use crate::web::pages::refused::Failure;

/// Which document, with all that a request may choose.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Which {
    Page {
        is_large: bool,
    },
    Poster {
        strips: usize,
    },
    Json,
    /// Of one line that there is, or of all.
    Ics(Option<LineId>),
}

/// The documents as they are now. Cheap to clone.
#[derive(Clone, Default)]
pub(in crate::web) struct Documents(Arc<Mutex<Option<Edition>>>);

/// Documents made of the same data.
struct Edition {
    lines: Lines,
    from: Timestamp,
    /// A line opens or closes, or a day begins.
    until: Timestamp,
    documents: HashMap<Which, Arc<Document>>,
}

impl Edition {
    fn of(lines: Lines, now: Timestamp) -> Self {
        let calendars = lines.iter().map(|line| &line.calendar).chain([lines.default_calendar()]);
        let until = calendars.map(|calendar| next_change(calendar, now)).min().unwrap_or(now);
        Self { lines, from: now, until, documents: HashMap::new() }
    }

    fn holds(&self, lines: &Lines, now: Timestamp) -> bool {
        self.lines.are_the_same(lines) && (self.from..self.until).contains(&now)
    }
}

fn next_change(calendar: &Calendar, now: Timestamp) -> Timestamp {
    let answer = calendar.answer(now);
    let turns = [answer.current_period.map(|period| period.end), answer.next_period.map(|period| period.start)];
    let tomorrow = calendar.local_date(now).checked_add(1.day()).ok();
    let midnight = tomorrow.and_then(|date| date.to_zoned(calendar.time_zone().clone()).ok());
    let midnight = midnight.map(|midnight| midnight.timestamp());
    turns.into_iter().chain([midnight]).flatten().min().unwrap_or(now)
}

/// Answers with a document, which `make` makes of these lines if nobody has asked for it since the data changed.
pub(super) fn answer(
    house: &House,
    which: Which,
    request: &HeaderMap,
    content_type: &'static str,
    make: impl FnOnce(&Lines, Timestamp) -> Result<Vec<u8>, askama::Error>,
) -> Response {
    let (now, lines) = (house.clock.now(), house.lines());
    let made = |lines: &Lines| make(lines, now).map(|bytes| Arc::new(Document::new(content_type, bytes)));
    // The banner of a rehearsal shows the second.
    let document = if house.rehearsal {
        made(&lines)
    } else {
        // Who asks meanwhile waits: making it twice would take longer.
        let mut edition = house.documents.0.lock().unwrap_or_else(PoisonError::into_inner);
        let edition = match edition.take().filter(|edition| edition.holds(&lines, now)) {
            Some(present) => edition.insert(present),
            None => edition.insert(Edition::of(lines, now)),
        };
        match edition.documents.get(&which) {
            Some(document) => Ok(document.clone()),
            None => made(&edition.lines).inspect(|document| {
                edition.documents.insert(which, document.clone());
            }),
        }
    };
    match document {
        Ok(document) => document.response(request),
        Err(failed) => Failure::ours(&failed.to_string()).into_response(),
    }
}
