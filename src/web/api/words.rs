//! The closed lists of words, for the description: taken from where the rules keep them.

use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Object, RefOr, Schema};

use crate::core::calendar::{DayRule, TimeState};
use crate::core::call::Outcome;
use crate::core::callback::{ASKERS, Channel, Reason, TOPICS};

pub const STATES: [&str; 6] = ["open", "claimed", "later", "done", "exceptional", "declined"];

fn words<'w>(about: &str, known: impl IntoIterator<Item = &'w str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(known)).description(Some(about)).build()
}

fn words_or_null<'w>(about: &str, known: impl IntoIterator<Item = &'w str>) -> Object {
    let known = known.into_iter().map(Some).chain([None]);
    let kind = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(kind).enum_values(Some(known)).description(Some(about)).build()
}

pub fn state() -> Object {
    words("A claim that has run out reads `open`.", STATES)
}

pub fn state_filter() -> Object {
    let about = "`open` (the default): everybody who still waits, whether open, claimed or put off. Else exactly this \
        state, or `all`.";
    words(about, STATES.into_iter().chain(["all"]))
}

pub fn period_filter() -> Object {
    let about = "`current`: the working period that contains now, with all that was carried over; while closed, the list \
        that is being prepared for the next one. `next`: while open, the period after it; while closed, the same as \
        `current`. Without a line the hours of the house count. Default `all`.";
    words(about, ["current", "next", "all"])
}

pub fn channel() -> Object {
    words("How the request came.", Channel::ALL.map(Channel::as_str))
}

pub fn asker() -> Object {
    words_or_null("Who asks; null if not noted.", ASKERS)
}

pub fn topic() -> Object {
    words_or_null("One of the four areas of the regulation, or `other`; null if not noted.", TOPICS)
}

pub fn reason() -> Object {
    words("`not_enough_data` and `not_constructive` stand in the regulation.", Reason::ALL.map(Reason::as_str))
}

pub fn reason_or_null() -> Object {
    words_or_null("Why it was declined.", Reason::ALL.map(Reason::as_str))
}

pub fn attempt() -> Object {
    words(
        "Whether the caller was reached; `dialled`: nobody has told yet.",
        ["reached", "no_answer", "busy", "dialled"],
    )
}

pub fn voicemail() -> Object {
    let about =
        "`pending`: still with the provider. `failed`: could not be had. `erased`: after its term or on demand.";
    words(about, ["pending", "stored", "failed", "erased"])
}

pub fn direction() -> Object {
    words_or_null("Null until the provider has told.", ["inbound", "outbound"])
}

pub fn outcome() -> Object {
    words("What became of the call; `in_progress` as far as we know.", Outcome::ALL.map(Outcome::as_str))
}

pub fn day_rule() -> Object {
    words("Why the local date is worked or not.", DayRule::ALL.map(DayRule::as_str))
}

pub fn time_state() -> Object {
    words("How the instant stands to the hours of its date.", TimeState::ALL.map(TimeState::as_str))
}

pub fn configured_hours() -> Schema {
    let about = "The hours as they are now, as in the section `[hours]` of the configuration; exceptions of the calendar page are among the overrides.";
    Schema::Object(ObjectBuilder::new().schema_type(Type::Object).description(Some(about)).build())
}

pub fn aliases() -> RefOr<Schema> {
    let about = "Technical and forwarded-from numbers that stand for this line.";
    ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::String)).description(Some(about)).into()
}
