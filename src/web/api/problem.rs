//! Refusals for programs: problem documents (RFC 9457), in English.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;
use utoipa::ToSchema;

use super::objects::{Callback, HeldSibling};
use crate::core::callback::{Refusal, SiblingHolder};
use crate::core::line::Lines;
use crate::store::StoreError;
use crate::web::Error;

/// Seconds after which asking a busy database again makes sense.
const DATABASE_RETRY: u64 = 5;

/// Why a request was refused. Nothing has changed then.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`, or a stable name of this kind of problem, for example `urn:perezvon:stale`.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    /// The status of the response.
    status: u16,
    /// What went wrong this time.
    detail: String,
    /// The present state of the callback, where somebody was faster.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Box<Callback>>,
    /// Name of the officer who holds the callback.
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_by: Option<String>,
    /// The callback of the same number that a colleague holds on another line. Sent again with `confirm_other_line`, the
    /// request is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_sibling: Option<Box<HeldSibling>>,
    /// Seconds after which the request may be repeated, also in the header Retry-After.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u32>,
    #[serde(skip)]
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl Problem {
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let status = status.as_u16();
        Self {
            kind,
            title,
            status,
            detail: detail.into(),
            current: None,
            claimed_by: None,
            held_sibling: None,
            retry: None,
            header: None,
        }
    }

    /// A problem that its status says all about.
    pub fn plain(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, "about:blank", status.canonical_reason().unwrap_or("Problem"), detail)
    }

    /// The header `Allow` is added by the router.
    pub fn method_not_allowed() -> Self {
        Self::plain(StatusCode::METHOD_NOT_ALLOWED, "see the header Allow for what this address understands")
    }

    pub fn is_conflict(&self) -> bool {
        self.status == StatusCode::CONFLICT.as_u16()
    }

    pub fn with_current(self, current: Option<Callback>) -> Self {
        Self { current: current.map(Box::new), ..self }
    }

    pub fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some(Box::new((name, value))), ..self }
    }

    /// A colleague holds the same number on another line, and this request did not say that it goes on anyway.
    pub fn held_on_other_line(holder: &SiblingHolder, lines: &Lines) -> Self {
        let problem = Self::of_refusal(StatusCode::CONFLICT, Refusal::HeldOnOtherLine(Box::new(holder.clone())));
        Self { held_sibling: Some(Box::new(HeldSibling::of(holder, lines))), ..problem }
    }

    fn with_retry(self, seconds: u64) -> Self {
        Self {
            retry: Some(u32::try_from(seconds).unwrap_or(u32::MAX)),
            ..self.with_header(RETRY_AFTER, seconds.into())
        }
    }

    fn of_store(status: StatusCode, failed: &StoreError) -> Self {
        error!(error = %failed, "A request to the API failed: {failed}");
        match failed {
            StoreError::Corrupt { .. } => Self::plain(status, "a row of the database is not what it should be"),
            _ => Self::plain(status, "the database is not available").with_retry(DATABASE_RETRY),
        }
    }

    fn of_refusal(status: StatusCode, refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::ClaimedByOther { by, .. } => {
                let claimed = Self::new(status, "urn:perezvon:claimed", "Claimed by a colleague", detail);
                Self { claimed_by: Some(by.name), ..claimed }
            }
            Refusal::HeldOnOtherLine(holder) => {
                let title = "A colleague holds the same number on another line";
                let held = Self::new(status, "urn:perezvon:held-on-other-line", title, detail);
                Self { claimed_by: Some(holder.by.name), ..held }
            }
            Refusal::NothingProposed => {
                Self::new(status, "urn:perezvon:nothing-proposed", "Nothing is proposed", detail)
            }
            Refusal::Closed { .. } => Self::new(status, "urn:perezvon:closed", "Closed already", detail),
            Refusal::NotClosed => Self::new(status, "urn:perezvon:not-closed", "Not closed", detail),
            _ => Self::new(status, "urn:perezvon:refused", "Refused by the rules", detail),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = error.status();
        match error {
            Error::SignInFirst => Self::plain(status, "send a bearer token, or sign in at /login")
                .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Error::RoleNeeded(role) => Self::plain(status, format!("this needs the role {}", role.as_str())),
            Error::OtherLine => Self::plain(status, "this belongs to another line"),
            Error::NotFound => Self::plain(status, "there is nothing at this address"),
            Error::BadRequest(detail) => Self::plain(status, detail),
            Error::Refused(refusal) => Self::of_refusal(status, refusal),
            Error::Stale(present) => {
                let detail = format!("the callback has changed meanwhile, it has version {} now", present.version);
                Self::new(status, "urn:perezvon:stale", "Changed meanwhile", detail)
            }
            Error::AnotherOpen => Self::new(
                status,
                "urn:perezvon:another-open",
                "Another one is open",
                "another callback of this line and number is open already",
            ),
            Error::NothingToUndo => Self::new(
                status,
                "urn:perezvon:nothing-to-undo",
                "Nothing to undo",
                "the last step was not yours, or there is none",
            ),
            Error::AlreadyCalling => Self::plain(status, "a call that was placed before goes on"),
            Error::NobodyWaits => {
                Self::new(status, "urn:perezvon:nobody-waits", "Nobody waits", "there is no callback to claim now")
            }
            Error::SlowDown(seconds) => Self::plain(status, "too many requests").with_retry(seconds),
            Error::Store(failed) => Self::of_store(status, &failed),
            Error::SessionsAway(failed) => {
                error!(error = failed, "A request to the API failed: {failed}");
                Self::plain(status, "the database is not available").with_retry(DATABASE_RETRY)
            }
            Error::SoundMissing => Self::new(
                status,
                "urn:perezvon:sound-missing",
                "The sound is missing",
                "the file of this voicemail is not on the disk",
            ),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(failed: StoreError) -> Self {
        Error::from(failed).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let header = self.header.take();
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.headers_mut().extend(header.map(|header| *header));
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
