//! The one place that knows status codes. It has two listeners: a program gets a problem document (RFC 9457), an officer
//! a Russian sentence and a way on.

use axum::http::StatusCode;

use crate::core::callback::{Callback, Refusal};
use crate::core::officer::Role;
use crate::store::{ActError, StoreError};

/// Until the first of the calls of the hour is forgotten, at most.
const CALL_LIMIT_SECONDS: u64 = 3600;

/// Why a request of a person or program was not done.
#[derive(Debug)]
pub enum Error {
    /// Nobody is signed in.
    SignInFirst,
    /// This role may not.
    RoleNeeded(Role),
    /// It belongs to a line they may not see.
    OtherLine,
    NotFound,
    /// What was sent makes no sense: the field and what is wrong with it.
    BadRequest(String),
    /// The rules say no; nothing has changed.
    Refused(Refusal),
    /// Somebody was faster; the present state is here.
    Stale(Box<Callback>),
    AnotherOpen,
    NothingToUndo,
    /// A call that was placed before goes on.
    AlreadyCalling,
    NobodyWaits,
    /// Too many tries from one address; seconds until the next may be made.
    SlowDown(u64),
    Store(StoreError),
    /// The table of sessions does not answer: nobody is signed out by that.
    SessionsAway(String),
    /// The sound is not on our disk.
    SoundMissing,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::OtherLine => Self::OtherLine,
            error => Self::Store(error),
        }
    }
}

impl From<ActError> for Error {
    fn from(error: ActError) -> Self {
        match error {
            ActError::NotFound(_) => Self::NotFound,
            ActError::Stale(present) | ActError::GoneOn(present) => Self::Stale(present),
            ActError::Refused(refusal) => Self::Refused(refusal),
            ActError::AnotherOpen => Self::AnotherOpen,
            ActError::NothingToUndo => Self::NothingToUndo,
            ActError::AlreadyCalling(_) => Self::AlreadyCalling,
            ActError::TooManyCalls { .. } => Self::SlowDown(CALL_LIMIT_SECONDS),
            ActError::NobodyWaits => Self::NobodyWaits,
            ActError::Store(error) => error.into(),
        }
    }
}

impl Error {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::SignInFirst => StatusCode::UNAUTHORIZED,
            Self::RoleNeeded(_) | Self::OtherLine => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NobodyWaits | Self::SoundMissing => StatusCode::NOT_FOUND,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Stale(_) | Self::AnotherOpen | Self::NothingToUndo | Self::AlreadyCalling => StatusCode::CONFLICT,
            Self::Refused(
                Refusal::ClaimedByOther { .. }
                | Refusal::HeldOnOtherLine(_)
                | Refusal::NothingProposed
                | Refusal::Closed { .. }
                | Refusal::NotClosed,
            ) => StatusCode::CONFLICT,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::SlowDown(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Store(StoreError::Corrupt { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(_) | Self::SessionsAway(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
