//! What somebody who is limited to some lines may read and do. [`Store::limited_to`] gives a store of which every list, count
//! and search has only what belongs to these lines, and which refuses the rest with [`StoreError::OtherLine`].
//!
//! Callbacks of the same number on other lines stay known, without details: nobody is called twice (R26).

use super::sql::{Columns, statements};
use super::{CallbackView, Result, Store, StoreError};
use crate::core::callback::{Callback, Notes, Sibling, State};
use crate::core::line::LineId;
use crate::core::line_scope::LineScope;
use crate::core::phone::PhoneNumber;

impl Store {
    /// The same store for somebody who sees these lines alone.
    pub fn limited_to(&self, scope: &LineScope) -> Self {
        Self { scope: scope.clone(), ..self.clone() }
    }

    pub fn scope(&self) -> &LineScope {
        &self.scope
    }

    /// Whether this line may be seen.
    pub fn sees(&self, line: &LineId) -> bool {
        self.scope.allows(line)
    }

    /// Whether all lines may be seen.
    pub fn sees_all(&self) -> bool {
        self.scope.is_all()
    }

    /// What a statement compares lines with: those asked for that may be seen. `None`: all.
    pub(super) fn asked_lines(&self, line: Option<&LineId>) -> Result<Option<String>> {
        match line {
            Some(line) if !self.scope.allows(line) => Err(StoreError::OtherLine),
            Some(line) => Ok(LineScope::of([line.clone()]).to_text()),
            None => Ok(self.scope.to_text()),
        }
    }

    /// Refuses what belongs to another line, or to none.
    pub(super) fn check_line(&self, line: Option<&LineId>) -> Result<()> {
        let is_seen = line.map_or(self.scope.is_all(), |line| self.scope.allows(line));
        if is_seen { Ok(()) } else { Err(StoreError::OtherLine) }
    }

    /// Refuses a callback of another line. One that is not there is found missing by whoever asks for it.
    pub async fn check_callback(&self, id: i64) -> Result<()> {
        self.check(LINE_OF_CALLBACK, "callback", id).await
    }

    /// Whether the school's name and note of this number may be seen and changed: not by whoever is limited to lines of which the
    /// number has called none, but others. To type a number does not make its owner one's own caller.
    pub async fn knows_caller(&self, number: &PhoneNumber) -> Result<bool> {
        if self.scope.is_all() {
            return Ok(true);
        }
        let rows = sqlx::query(LINES_CALLED).bind(number.e164().to_owned()).fetch_all(&self.readers).await?;
        let called = rows.iter().map(|row| Columns::of("call", row).get::<String>("line"));
        let called = called.collect::<Result<Vec<_>>>()?;
        Ok(called.is_empty() || called.iter().any(|line| self.scope.allows(&LineId::new(line))))
    }

    /// Refuses a message that was left on another line.
    pub(super) async fn check_voicemail(&self, id: i64) -> Result<()> {
        self.check(LINE_OF_VOICEMAIL, "call", id).await
    }

    async fn check(&self, sql: &'static str, table: &'static str, id: i64) -> Result<()> {
        if self.scope.is_all() {
            return Ok(());
        }
        let Some(row) = sqlx::query(sql).bind(id).fetch_optional(&self.readers).await? else { return Ok(()) };
        let line: Option<String> = Columns::of(table, &row).get("line")?;
        self.check_line(line.as_deref().map(LineId::new).as_ref())
    }

    /// What is told of callbacks on other lines beside these.
    pub(super) fn without_other_lines(&self, mut views: Vec<CallbackView>) -> Vec<CallbackView> {
        if !self.scope.is_all() {
            for view in &mut views {
                view.siblings.iter_mut().for_each(|sibling| self.shorten_sibling(sibling));
                view.proposed_outcome.iter_mut().for_each(|source| shorten(&self.scope, source));
            }
        }
        views
    }

    /// That it waits on the other line, and who has it in hand.
    pub(super) fn shorten_sibling(&self, sibling: &mut Sibling) {
        if self.scope.allows(&sibling.line) {
            return;
        }
        if !matches!(sibling.state, State::Claimed { .. }) {
            sibling.state = State::Open;
            sibling.last_attempt = None;
        }
    }
}

/// How the callback of another line ended, without what was noted there.
pub(super) fn shorten(scope: &LineScope, callback: &mut Callback) {
    if scope.allows(&callback.line) {
        return;
    }
    callback.desk.notes = Notes::default();
    match &mut callback.desk.state {
        State::Done { note, .. } | State::Exceptional { note, .. } | State::Declined { note, .. } => note.clear(),
        State::Open | State::Claimed { .. } | State::Later { .. } => {}
    }
}

statements! {
    LINES_CALLED = "SELECT DISTINCT line FROM call WHERE caller = $1 AND line IS NOT NULL";
    LINE_OF_CALLBACK = "SELECT line FROM callback WHERE id = $1";
    LINE_OF_VOICEMAIL = "SELECT call.line AS line FROM voicemail JOIN call ON call.id = voicemail.call_id WHERE voicemail.id = $1";
}
