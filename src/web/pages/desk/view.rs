//! Which part of the list is looked at. It stands in the address, so every view can be kept and sent.

use serde::Deserialize;

use crate::core::line::LineId;
use crate::store::DeskPart;
use crate::time::Timestamp;
use crate::web::House;
use crate::web::pages::frame::{Choice, line_choices};

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct View {
    pub line: String,
    pub show: String,
    /// Where this page of the list begins; empty for the first.
    pub after: String,
    /// The entry that is unfolded.
    pub at: Option<i64>,
    /// The entry just worked on: it offers to be undone.
    pub did: Option<i64>,
    /// The entry whose last step was just taken back.
    pub undone: Option<i64>,
    /// Not empty: the entry in hand is shown wherever it stands now.
    pub keep: String,
}

impl View {
    pub fn line(&self) -> Option<LineId> {
        (!self.line.is_empty()).then(|| LineId::new(&self.line))
    }

    pub fn shows(&self, show: &str) -> bool {
        match self.show.as_str() {
            known @ ("later" | "done" | "all") => known == show,
            _ => show == "open",
        }
    }

    /// Whether the entry in hand is shown even if it does not belong to this view.
    pub fn keeps(&self) -> bool {
        self.shows("all") || !self.keep.is_empty() || (self.at.is_some() && self.at == self.undone)
    }

    /// `?line=parents&show=all`, or nothing.
    pub fn query(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("line", &self.line), ("show", &self.show), ("after", &self.after)] {
            if !value.is_empty() {
                pairs.append_pair(name, value);
            }
        }
        for (name, value) in [("at", self.at), ("did", self.did), ("undone", self.undone)] {
            if let Some(value) = value {
                pairs.append_pair(name, &value.to_string());
            }
        }
        let pairs = pairs.finish();
        if pairs.is_empty() { pairs } else { format!("?{pairs}") }
    }

    pub fn address(&self) -> String {
        format!("/callbacks{}", self.query())
    }

    pub fn parts(&self, midnight: Timestamp) -> Vec<DeskPart> {
        parts(&self.show, midnight)
    }

    /// The same from its first page.
    pub fn first_page(&self) -> Self {
        Self { after: String::new(), ..self.plain() }
    }

    /// The view itself, without what happened in it.
    pub fn plain(&self) -> Self {
        Self { at: None, did: None, undone: None, keep: String::new(), ..self.clone() }
    }
}

/// What of the list «show» means; what was closed is shown from this midnight on.
pub(in crate::web::pages) fn parts(show: &str, midnight: Timestamp) -> Vec<DeskPart> {
    match show {
        "later" => vec![DeskPart::PutOff],
        "done" => vec![DeskPart::ClosedSince(midnight)],
        "all" => vec![DeskPart::Waiting, DeskPart::ClosedSince(midnight)],
        _ => vec![DeskPart::ToCall],
    }
}

/// One view of the list.
pub(super) struct Link {
    pub address: String,
    pub label: String,
    pub chosen: bool,
}

pub(super) fn line_links(house: &House, view: &View, with_unknown: bool) -> Vec<Link> {
    let choices = line_choices(house, view.line().as_ref(), with_unknown).into_iter();
    choices
        .map(|Choice { value, label, chosen }| {
            let address = View { line: value, ..view.first_page() }.address();
            Link { address, label, chosen }
        })
        .collect()
}

pub(super) fn show_links(view: &View) -> Vec<Link> {
    [("open", "", "Открытые"), ("later", "later", "Отложенные"), ("done", "done", "Сделанные"), ("all", "all", "Все")]
        .into_iter()
        .map(|(show, value, label)| Link {
            address: View { show: value.to_owned(), ..view.first_page() }.address(),
            label: label.to_owned(),
            chosen: view.shows(show),
        })
        .collect()
}
