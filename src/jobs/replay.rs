//! All kept deliveries applied once more to an empty database, each as it came: read by its provider's codec without asking
//! for its signature again, decided by the hours of its instant.
//!
//! What comes out equal, and what cannot, is written in ARCHITECTURE.md («Replay»).

use super::reconcile::LEGS;
use super::reconcile_provider::{RESTORED, RestoredBody};
use crate::core::call::{CallEvent, CallKey, DERIVED_ID, Fact};
use crate::core::changes::Changes;
use crate::core::written_text::json_error;
use crate::providers::{Malformed, Provider, Providers, RawRequest, legs_of};
use crate::store::{Delivery, InboxDelivery, OWN, Store, StoreError};

/// Reasons that are listed one by one.
const MAX_REASONS: usize = 20;

/// What a replay came to.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    pub deliveries: u64,
    /// Those that could not be read again. They are in the inbox of the other database, and applied to no call.
    pub not_applied: u64,
    /// Why, the first of them.
    pub reasons: Vec<String>,
}

/// Why a kept delivery cannot be read again.
#[derive(Debug, thiserror::Error)]
enum NotReadable {
    #[error("the provider {0} is not configured")]
    NoProvider(String),
    #[error("its provider cannot be asked for {0} any more")]
    NothingToAsk(String),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Applies the deliveries of `source` to `target`, one after another: what a call leads to may depend on the one before it.
pub async fn replay(source: &Store, target: &Store, providers: &Providers) -> Result<Replayed, StoreError> {
    let mut instants = source.hours_change_instants().await?.into_iter().peekable();
    target.decide_by(&Changes::default());
    let (mut replayed, mut last) = (Replayed::default(), 0);
    loop {
        let page = source.deliveries_after(last).await?;
        let Some(newest) = page.last() else { return Ok(replayed) };
        last = newest.id;
        for kept in page {
            let mut changed_at = None;
            while let Some(at) = instants.next_if(|at| *at <= kept.received_at) {
                changed_at = Some(at);
            }
            if let Some(at) = changed_at {
                target.decide_by(&source.hours_at(at).await?);
            }
            let (key, events, can_be_asked) = match read(&kept, providers) {
                Ok(read) => read,
                Err(reason) => {
                    replayed.not_applied += 1;
                    if replayed.reasons.len() < MAX_REASONS {
                        replayed
                            .reasons
                            .push(format!("{} {} {}: {reason}", kept.received_at, kept.provider, kept.endpoint));
                    }
                    (None, Vec::new(), false)
                }
            };
            let delivery = Delivery {
                provider: kept.provider.into(),
                endpoint: kept.endpoint,
                method: kept.method,
                target: kept.target,
                content_type: kept.content_type,
                body: kept.body.into(),
                received_at: kept.received_at,
                key,
                events,
                can_be_asked,
                applied_at: None,
            };
            target.deliver(delivery).await?;
            replayed.deliveries += 1;
        }
    }
}

type Read = (Option<CallKey>, Vec<CallEvent>, bool);

fn read(kept: &InboxDelivery, providers: &Providers) -> Result<Read, NotReadable> {
    let provider = providers.get(&kept.provider).ok_or_else(|| NotReadable::NoProvider(kept.provider.clone()))?;
    if kept.method == OWN {
        return Ok((kept.key.clone(), events_of_ours(kept, provider)?, false));
    }
    let request = RawRequest {
        method: kept.method.clone(),
        target: kept.target.clone(),
        endpoint: kept.endpoint.clone(),
        headers: vec![("content-type".to_owned(), kept.content_type.clone())],
        body: kept.body.clone().into(),
    };
    let parsed = provider.parse_kept(&request, kept.received_at)?;
    // An id that was derived from the bytes stays, though a number has been erased from them since.
    let is_derived = |key: &CallKey| key.provider_call_id.starts_with(DERIVED_ID);
    let key = kept.key.clone().filter(is_derived).or(parsed.key);
    Ok((key, parsed.events, provider.archive().is_some()))
}

/// What we asked the provider for ourselves: see `reconcile.rs` and `reconcile_provider.rs`.
fn events_of_ours(kept: &InboxDelivery, provider: &dyn Provider) -> Result<Vec<CallEvent>, NotReadable> {
    let nothing_to_ask = || NotReadable::NothingToAsk(kept.endpoint.clone());
    let key = kept.key.as_ref().ok_or_else(nothing_to_ask)?;
    let ended = || vec![CallEvent { at: kept.received_at, fact: Fact::Ended }];
    match kept.endpoint.as_str() {
        "assumed-end" => Ok(ended()),
        // The provider had forgotten the call.
        "call" if kept.body.is_empty() => Ok(ended()),
        "call" => Ok(provider.archive().ok_or_else(nothing_to_ask)?.parse_call(&kept.body, key, kept.received_at)?),
        RESTORED => {
            let body: RestoredBody =
                serde_json::from_slice(&kept.body).map_err(|error| Malformed::Json(json_error(&error)))?;
            Ok(body.events)
        }
        LEGS => {
            let listing = provider.archive().and_then(|archive| archive.listing().ok()).ok_or_else(nothing_to_ask)?;
            let page = listing.parse_call_page(&kept.body, kept.received_at)?;
            Ok(legs_of(page, &key.provider_call_id))
        }
        "recordings" => {
            Ok(provider.archive().ok_or_else(nothing_to_ask)?.parse_recordings(&kept.body, key, kept.received_at)?)
        }
        _ => Err(nothing_to_ask()),
    }
}
