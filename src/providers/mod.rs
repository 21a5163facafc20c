//! Pure codecs between a telephony provider's wire and the words of `core`: raw bytes → verified → call events,
//! and scripts → replies. No IO, no clock. One kind of provider a folder.
//!
//! A provider's way through here: [`Provider::admit`] → [`Provider::verify`] → [`Provider::parse`] → (the store applies
//! the events) → [`Provider::render`]. The interface is the same for those that are steered step by step (each request is
//! answered with a script), those that ask once where a call goes (the script's first verb decides), and those that only
//! report ([`Parsed::step`] is `None`). What a kind can do beyond that it hands out as an interface of its own, or `None`:
//! [`Archive`] for recordings that stay with the provider and calls that it can be asked about (and [`Listing`] where it
//! lists them), [`Dialler`] for calls that it places.

mod addresses;
pub mod asterisk;
mod configured;
mod form;
pub mod twiml;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use url::Url;

pub use self::addresses::{ForbiddenUrl, is_public};
pub use self::configured::Providers;
use crate::core::call::{CallEvent, CallKey};
use crate::core::phone::{PhoneNumber, Telephone};
use crate::core::script::{Step, Verb};
use crate::time::Timestamp;

/// The largest webhook without sound, bytes. Real ones have about 600; the largest forms of the contracts stay below 8 kB.
pub const LARGEST_FORM: usize = 64 * 1024;

/// One HTTP request of a provider, as it came.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// The raw request target, `/webhooks/twilio/voice?x=1`, byte for byte: it is signed.
    pub target: String,
    /// What follows `/webhooks/{name}/` in the path: `voice`, `status`, `fallback`, or a step of our own.
    pub endpoint: String,
    /// Lower-case names, as they came.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl RawRequest {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Why a request is not believed, for the administrator. Neither secrets nor the contents of a request are in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// By the family of TwiML: for the handler 403, or 400 where it has too many fields.
    #[error(transparent)]
    Signature(#[from] twiml::signature::Refused),
    /// By an exchange: for the handler 401.
    #[error(transparent)]
    Token(#[from] asterisk::WrongToken),
}

/// What a webhook says, in the words of `core`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// `None`: kept raw, but it tells of no call of ours (for example an officer's leg of a dialled call).
    pub key: Option<CallKey>,
    pub events: Vec<CallEvent>,
    /// Set when the provider waits for a script: the place in the dialogue.
    pub step: Option<Step>,
    /// The sound of a message that came with the request itself.
    pub sound: Option<Sound>,
    /// What was passed over to give a waiting caller his script all the same, for the log.
    pub oddity: Option<Malformed>,
}

/// The sound of a message, as a request brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Of the recording in the events of the same request.
    pub recording_id: &'static str,
    pub bytes: Bytes,
    /// The request without it: what the inbox keeps.
    pub rest: Bytes,
}

/// A request whose signature has been checked: now, by [`Provider::verify`], or when it came ([`Provider::parse_kept`]).
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a>(&'a RawRequest);

/// Why a verified request or a provider's answer cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// For the handler: 404. All other reasons are 400.
    #[error("there is no webhook address «{0}»")]
    UnknownEndpoint(String),
    #[error("the body is no form (application/x-www-form-urlencoded)")]
    NotAForm,
    #[error("the body is no form of several parts (multipart/form-data): {0}")]
    NotMultipart(String),
    #[error("the form has a percent sign without two hexadecimal digits after it")]
    PercentEncoding,
    #[error("the form is not UTF-8")]
    NotUtf8,
    #[error("the form has more than {} fields", form::MAX_FIELDS)]
    TooManyFields,
    #[error("the field {0} is missing")]
    Missing(&'static str),
    #[error("the field {0} came twice with different values")]
    Contradiction(&'static str),
    #[error("the border between {0} and its neighbour was moved: somebody has caught this request and changed it")]
    MovedBorder(&'static str),
    #[error("the answer is not JSON as we know it: {0}")]
    Json(String),
}

/// What is sent back to a provider, with status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub content_type: &'static str,
    pub body: String,
}

/// A request to the provider's API. The authorization is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiRequest {
    pub method: &'static str,
    pub url: String,
    /// The whole value of the `Authorization` header. Never to be sent to another host.
    pub authorization: Option<String>,
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

/// A `GET` for the sound of one recording. The authorization and the query, which may be a signature, are not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchRequest {
    pub url: Url,
    /// The whole value of the `Authorization` header. Redirects: see [`Archive::may_follow`].
    pub authorization: Option<String>,
    /// When the address has expired: asks for the recordings of the call anew, for [`Archive::parse_recordings`].
    pub fallback: Option<ApiRequest>,
}

impl fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GET {}{}", self.url.host_str().unwrap_or(""), self.url.path())
    }
}

/// One configured provider: its dialect, its addresses and its secrets.
pub trait Provider: fmt::Debug + Send + Sync {
    /// The configured name; the webhook path is `/webhooks/{name}/…`.
    fn name(&self) -> &Arc<str>;

    fn kind(&self) -> Kind;

    /// How many secrets are configured, any of which is believed; several while rotating.
    fn keys(&self) -> usize;

    /// How many bytes of body this request may have, told by its head alone: the body of `request` has not come yet.
    ///
    /// # Errors
    /// Where the head shows already that the provider did not send it.
    fn admit(&self, request: &RawRequest) -> Result<usize, Refused>;

    /// Checks that the provider sent this.
    fn verify<'a>(&self, request: &'a RawRequest, now: Timestamp) -> Result<Verified<'a>, Refused>;

    /// Why a request was refused, with what would have made it acceptable, if that is known: [`Provider::verify`] does not look
    /// for it, since a stranger must not be able to make us search.
    fn explain(&self, _: &RawRequest, refused: Refused) -> Refused {
        refused
    }

    /// The step of the dialogue that this endpoint alone tells. `None`: nobody waits for a script there.
    fn step_at(&self, endpoint: &str) -> Option<Step>;

    /// Reads what a request says. `received_at` is the instant of facts that carry no time of their own.
    fn parse(&self, verified: Verified<'_>, received_at: Timestamp) -> Result<Parsed, Malformed>;

    /// Reads a request that was verified when it came, as the inbox keeps it: of its headers the content type alone, and
    /// without the sound that came with it.
    fn parse_kept(&self, request: &RawRequest, received_at: Timestamp) -> Result<Parsed, Malformed> {
        self.parse(Verified(request), received_at)
    }

    /// The script in the provider's own words, never over what it takes.
    fn render(&self, script: &[Verb]) -> Reply;

    /// The answer to whoever expects no script: it is kept.
    fn nothing(&self) -> Reply;

    /// A call to `dialled` that nobody makes, as this provider would tell it. `None`: only the provider itself can sign.
    fn test_call(&self, id: &str, dialled: &PhoneNumber, now: Timestamp) -> Option<TestCall>;

    /// What it keeps and can be asked for later. `None`: whatever it has comes by itself.
    fn archive(&self) -> Option<&dyn Archive> {
        None
    }

    /// How it places calls. `None`: officers dial by hand.
    fn dialler(&self) -> Option<&dyn Dialler> {
        None
    }
}

/// Which wire a provider speaks, for whoever shows or checks its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Twiml,
    Asterisk,
}

/// The requests of a test call, and how its answer is read.
#[derive(Clone, Debug)]
pub struct TestCall {
    pub arrives: RawRequest,
    pub ends: RawRequest,
    /// In the answer to the first: an officer's telephone rings.
    pub rings: &'static str,
    /// In the answer to the first: the caller is offered to leave a message.
    pub offers: &'static str,
}

/// A provider that keeps recordings until they are fetched, and knows of calls whose webhooks were lost.
pub trait Archive: Send + Sync {
    /// A digest of everything that decides whether we are let in: addresses, names, secrets. Another digest than before
    /// means that somebody has mended, or broken, the access.
    fn access_digest(&self) -> String;

    /// How to fetch the sound of one recording. `url` is what the provider's event told, if it told any.
    ///
    /// # Errors
    /// When the address is not one that the configuration trusts: see [`ForbiddenUrl`].
    fn recording_request(
        &self,
        provider_call_id: &str,
        recording_id: &str,
        url: Option<&str>,
    ) -> Result<FetchRequest, ForbiddenUrl>;

    /// Whether a redirect while fetching a recording may be followed, and if so, with the credentials.
    /// The fetcher still has to refuse names that resolve to an address that is not [`is_public`].
    fn may_follow(&self, from: &Url, to: &Url) -> Option<bool>;

    /// Deletes a recording at the provider. `None`: it has no such operation. 404 counts as done.
    fn deletion_request(&self, recording_id: &str) -> Option<ApiRequest>;

    /// Asks how a call stands; the answer is for [`Archive::parse_call`].
    fn call_request(&self, provider_call_id: &str) -> ApiRequest;

    /// Asks for the recordings of a call; the answer is for [`Archive::parse_recordings`].
    fn recordings_of_call_request(&self, provider_call_id: &str) -> ApiRequest;

    /// Reads the answer to [`Archive::call_request`] as the events the lost webhooks would have told.
    fn parse_call(&self, json: &[u8], key: &CallKey, now: Timestamp) -> Result<Vec<CallEvent>, Malformed>;

    /// Reads a list of recordings, or a single one, as events. Recordings of other calls and those that are no
    /// messages (whole-call recordings) are passed over.
    fn parse_recordings(&self, json: &[u8], key: &CallKey, now: Timestamp) -> Result<Vec<CallEvent>, Malformed>;

    /// How its calls and recordings are listed.
    ///
    /// # Errors
    /// When this provider, or this configuration of it, has no lists.
    fn listing(&self) -> Result<&dyn Listing, NoListing>;
}

/// A provider that lists its calls and recordings page by page, so that those of which no webhook came are found.
pub trait Listing: Send + Sync {
    /// The first page of a list, of what is not older than `since`. A provider may list more than that.
    fn list_request(&self, list: List, since: Timestamp) -> ApiRequest;

    /// The first page of the officers' telephones that were rung within a call, for [`Listing::parse_call_page`]. A provider
    /// may list more than that: see [`legs_of`].
    fn legs_request(&self, provider_call_id: &str) -> ApiRequest;

    /// The page at an address that an earlier page gave.
    ///
    /// # Errors
    /// When the address is not on the configured host: the credentials go nowhere else.
    fn page_request(&self, address: &str) -> Result<ApiRequest, ForbiddenUrl>;

    /// Reads a page of [`List::Calls`].
    fn parse_call_page(&self, json: &[u8], now: Timestamp) -> Result<Page<ListedCall>, Malformed>;

    /// Reads a page of [`List::Recordings`].
    fn parse_recording_page(&self, json: &[u8], now: Timestamp) -> Result<Page<ListedRecording>, Malformed>;

    /// Asks for the telephone numbers of the account, for [`Listing::parse_numbers`]. `None`: it does not tell where they
    /// lead.
    fn numbers_request(&self) -> Option<ApiRequest>;

    /// Reads the first page of the account's numbers; those that are no telephone numbers are passed over.
    fn parse_numbers(&self, json: &[u8]) -> Result<Vec<ListedNumber>, Malformed>;
}

/// Which list of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    Calls,
    Recordings,
}

/// Why a provider is not asked for its lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoListing {
    /// Its interface has no such operation.
    NotOffered,
    /// The configuration has no key to ask with.
    NoKey,
    /// It repeats whatever we have not taken, so there is nothing to ask for.
    RepeatsItself,
}

impl NoListing {
    /// For the administrator.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::NotOffered => {
                "этот оператор не отдаёт список звонков. О звонке, о котором он не сообщил, служба не узнает: сверяйте с его \
                 кабинетом."
            }
            Self::NoKey => {
                "нет ключа, чтобы спрашивать списки звонков. Впишите API Key в api_token, иначе пропавшее не найти."
            }
            Self::RepeatsItself => "своя АТС повторяет всё сама, пока служба не примет; спрашивать у неё нечего.",
        }
    }
}

/// How a provider's calls and recordings are listed.
///
/// # Errors
/// When they are not.
pub fn listing_of(provider: &dyn Provider) -> Result<&dyn Listing, NoListing> {
    provider.archive().ok_or(NoListing::RepeatsItself)?.listing()
}

/// How ringing the officers within one call ended, from a page that may list other calls too.
pub fn legs_of(page: Page<ListedCall>, provider_call_id: &str) -> Vec<CallEvent> {
    let ringing = |call: ListedCall| match call.kind {
        ListedKind::Leg { parent_call_id: Some(parent), ringing } if parent == provider_call_id => ringing,
        _ => None,
    };
    page.entries.into_iter().filter_map(ringing).collect()
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub entries: Vec<T>,
    /// The whole address of the next page, for [`Listing::page_request`]; `None` on the last one.
    pub next: Option<String>,
}

/// A call as its provider lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCall {
    pub provider_call_id: String,
    pub kind: ListedKind,
    /// As the provider wrote it; empty when it is not known.
    pub dialled: String,
    pub forwarded_from: Option<String>,
    /// `None` when the provider gives no time that can be true.
    pub started_at: Option<Timestamp>,
    pub is_over: bool,
    /// What the lost webhooks would have reported.
    pub events: Vec<CallEvent>,
    /// The entry of the list, as it is kept with the call.
    pub json: Vec<u8>,
}

/// Whose call an entry of the list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListedKind {
    /// Somebody called us.
    Inbound,
    /// An officer's telephone that was rung within another call, and how that ended.
    Leg { parent_call_id: Option<String>, ringing: Option<CallEvent> },
    /// We called somebody.
    Outbound,
}

/// A telephone number of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedNumber {
    pub number: PhoneNumber,
    /// Where its calls are reported.
    pub voice_url: Option<String>,
    /// The application or trunk of the account that answers its calls instead, by its id.
    pub answered_by: Option<String>,
}

/// A finished message as its provider lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRecording {
    pub provider_call_id: String,
    pub recording_id: String,
    pub created_at: Option<Timestamp>,
    pub event: CallEvent,
    /// The entry of the list, as it is kept with the call.
    pub json: Vec<u8>,
}

/// A provider that places calls: an officer's telephone rings first, then the caller's. The end of the call comes as a
/// delivery of the id [`crate::core::placed_call::provider_call_id`].
pub trait Dialler: Send + Sync {
    /// Rings `officer`, and then `number`, which sees `line`. To be sent once: what became of it, if the answer is lost, is
    /// told by [`Dialler::placed_request`].
    fn place_request(&self, id: i64, officer: &Telephone, number: &PhoneNumber, line: &PhoneNumber) -> ApiRequest;

    /// What the HTTP status of the answer to [`Dialler::place_request`] means.
    fn placing(&self, status: u16) -> Placing;

    /// Asks how the officer's part of the call stands.
    fn placed_request(&self, id: i64) -> ApiRequest;

    /// Reads the answer to that: its HTTP status and its body. `None`: it does not say.
    fn leg(&self, status: u16, body: &[u8]) -> Option<Leg>;
}

/// What became of a request to ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    Rings,
    WrongPassword,
    NoSuchTelephone,
    /// It answers, but not as an exchange does.
    OutOfReach,
}

/// How the officer's part of a placed call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    Rings,
    /// The officer has taken up the receiver.
    Up,
    /// Over, or never begun.
    Gone,
}
