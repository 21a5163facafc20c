//! Placing calls by the REST part of ARI (provider contract, Asterisk, «Callback placed by the service»). The dialplan's
//! context `perezvon-callback` dials the number once the officer has taken up the receiver, and tells the end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::Serializer;
use serde::Deserialize;

use super::super::{ApiRequest, Dialler, Leg, Placing};
use super::{Ari, Settings};
use crate::core::phone::{PhoneNumber, Telephone};
use crate::core::placed_call::provider_call_id;

/// Of the dialplan that `perezvon pbx config` writes.
const CONTEXT: &str = "perezvon-callback";
/// How long the officer's telephone rings.
const RING_SECONDS: &str = "30";

/// An exchange that places calls.
#[derive(Clone)]
pub struct Rest {
    ari: Ari,
    trunk: String,
}

impl Rest {
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        Some(Self { ari: settings.ari.clone()?, trunk: settings.trunk.clone() })
    }
}

impl Ari {
    /// `resource` without a slash before it: `channels/1`.
    pub fn request(&self, method: &'static str, resource: &str) -> ApiRequest {
        let Self { base, user, password } = self;
        let authorization = Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        ApiRequest { method, url: format!("{base}/{resource}"), authorization }
    }
}

/// How every number is spelt for the exchange and its trunk: digits from the country's code on, `79281234567`.
pub fn digits(number: &PhoneNumber) -> &str {
    number.e164().trim_start_matches('+')
}

/// What rings a telephone: `PJSIP/101`, or through the trunk `PJSIP/79281234567@trunk`.
pub fn endpoint(telephone: &Telephone, trunk: &str) -> String {
    match telephone {
        Telephone::Extension(extension) => format!("PJSIP/{extension}"),
        Telephone::Number(number) => format!("PJSIP/{}@{trunk}", digits(number)),
    }
}

#[derive(Deserialize)]
struct Channel {
    state: String,
}

impl Dialler for Rest {
    fn place_request(&self, id: i64, officer: &Telephone, number: &PhoneNumber, line: &PhoneNumber) -> ApiRequest {
        let endpoint = endpoint(officer, &self.trunk);
        let query = Serializer::new(String::new())
            .extend_pairs([
                ("endpoint", endpoint.as_str()),
                ("context", CONTEXT),
                ("extension", digits(number)),
                ("priority", "1"),
                ("callerId", digits(line)),
                ("channelId", &provider_call_id(id)),
                ("timeout", RING_SECONDS),
            ])
            .finish();
        self.ari.request("POST", &format!("channels?{query}"))
    }

    /// A channel of this id is there already: it has been placed. An unknown endpoint is 500, «Allocation failed».
    fn placing(&self, status: u16) -> Placing {
        match status {
            200..=299 | 409 => Placing::Rings,
            401 | 403 => Placing::WrongPassword,
            400 | 404 | 500 => Placing::NoSuchTelephone,
            _ => Placing::OutOfReach,
        }
    }

    fn placed_request(&self, id: i64) -> ApiRequest {
        self.ari.request("GET", &format!("channels/{}", provider_call_id(id)))
    }

    fn leg(&self, status: u16, body: &[u8]) -> Option<Leg> {
        match status {
            404 => Some(Leg::Gone),
            200 => match serde_json::from_slice::<Channel>(body).ok()?.state.as_str() {
                "Up" => Some(Leg::Up),
                _ => Some(Leg::Rings),
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest() -> Rest {
        let ari = Ari {
            base: "http://127.0.0.1:8088/ari".to_owned(),
            user: "perezvon".to_owned(),
            password: "секрет:1".to_owned(),
        };
        Rest { ari, trunk: "trunk".to_owned() }
    }

    fn placed(officer: &str) -> ApiRequest {
        let [number, line] = ["+79281112233", "+79288328088"].map(|text| PhoneNumber::parse(text).unwrap());
        rest().place_request(42, &Telephone::parse(officer).unwrap(), &number, &line)
    }

    #[test]
    fn the_officers_telephone_rings_first_and_the_caller_sees_the_line() {
        let request = placed("101");
        assert_eq!(request.method, "POST");
        assert_eq!(
            request.url,
            "http://127.0.0.1:8088/ari/channels?endpoint=PJSIP%2F101&context=perezvon-callback&extension=79281112233\
             &priority=1&callerId=79288328088&channelId=perezvon-42&timeout=30"
        );
        assert_eq!(request.authorization.as_deref(), Some("Basic cGVyZXp2b2460YHQtdC60YDQtdGCOjE="));
        assert!(placed("8 928 000-00-55").url.contains("?endpoint=PJSIP%2F79280000055%40trunk&"));
    }

    /// As the exchange answered: see `asterisk_ari_capture.jsonl` of the contracts.
    #[test]
    fn the_answers_of_the_exchange_are_understood() {
        let answer = |state| format!("{{\"id\":\"perezvon-42\",\"state\":\"{state}\",\"caller\":{{\"name\":\"\"}}}}");
        let leg = |status, body: &str| rest().leg(status, body.as_bytes());
        assert_eq!(leg(200, &answer("Down")), Some(Leg::Rings));
        assert_eq!(leg(200, &answer("Ringing")), Some(Leg::Rings));
        assert_eq!(leg(200, &answer("Up")), Some(Leg::Up));
        assert_eq!(leg(404, "{\"message\":\"Channel not found\"}"), Some(Leg::Gone));
        assert_eq!(leg(200, "<html>"), None);
        assert_eq!(leg(502, ""), None);
        let placing = |status| rest().placing(status);
        assert_eq!((placing(200), placing(409)), (Placing::Rings, Placing::Rings));
        assert_eq!((placing(401), placing(500)), (Placing::WrongPassword, Placing::NoSuchTelephone));
        assert_eq!(placing(502), Placing::OutOfReach);
    }
}
