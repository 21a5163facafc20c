//! Fetching and deleting the sound of a message (provider contract, TwiML §9).

use url::Url;

use super::super::{ApiRequest, FetchRequest, ForbiddenUrl};
use super::{Signature, Twiml, path_segment, rest};

/// The request for one recording's sound. WAV is asked for; what comes is read from the file.
pub(super) fn recording_request(
    provider: &Twiml,
    provider_call_id: &str,
    recording_id: &str,
    url: Option<&str>,
) -> Result<FetchRequest, ForbiddenUrl> {
    if provider.settings.signature == Signature::Telnyx {
        // Signed by the storage for about ten minutes: a token would make it invalid, and so would any change.
        // Later the metadata has a fresh one. It is asked for by call, since the id may be one of our making.
        let url = provider.trusted.check(url.ok_or(ForbiddenUrl::Missing)?)?;
        let fallback = Some(rest::recordings_of_call_request(provider, provider_call_id));
        return Ok(FetchRequest { url, authorization: None, fallback });
    }
    let own = || format!("{}/Recordings/{}", rest::account_url(provider), path_segment(recording_id));
    let mut url = provider.trusted.check(&url.map_or_else(own, str::to_owned))?;
    ask_for_wav(&mut url);
    Ok(FetchRequest { url, authorization: rest::authorization(provider), fallback: None })
}

/// `…/RE1` → `…/RE1.wav`; an address that names its format stays.
fn ask_for_wav(url: &mut Url) {
    let path = url.path().trim_end_matches('/');
    let named = [".wav", ".mp3"].iter().any(|suffix| path.to_ascii_lowercase().ends_with(suffix));
    if !named {
        let path = format!("{path}.wav");
        url.set_path(&path);
    }
}

pub(super) fn deletion_request(provider: &Twiml, recording_id: &str) -> Option<ApiRequest> {
    let deletes = !is_somleng(&provider.settings.api_base);
    deletes.then(|| rest::request(provider, "DELETE", &format!("Recordings/{}.json", path_segment(recording_id))))
}

/// Somleng signs as Twilio does and deletes nothing. One under a school's own name answers 404, which counts as done.
pub(super) fn is_somleng(api_base: &str) -> bool {
    let host = Url::parse(api_base).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| host == "somleng.org" || host.ends_with(".somleng.org"))
}
