//! What `perezvon check` learns from telephony providers themselves: whether they know the account and its key, and whether
//! their numbers lead here.

use super::Probe;
use crate::app::config::Config;
use crate::app::house;
use crate::jobs::{Http, NoAnswer};
use crate::providers::{ApiRequest, List, ListedNumber, Listing, Provider, listing_of};
use crate::time::Timestamp;

/// Numbers whose wrong address is told; more of them are wrong in the same way.
const MAX_TOLD: usize = 3;

/// Asks each provider that lists its calls. Nothing is changed there.
pub async fn ask(config: &Config, now: Timestamp) -> Vec<Probe> {
    let (providers, http) = (house::providers(config, false), Http::new());
    let mut probes = Vec::new();
    for provider in providers.iter() {
        let Ok(listing) = listing_of(provider) else { continue };
        let name = format!("Подключение {}, вопрос оператору", provider.name());
        let calls = answer(&http, listing.list_request(List::Calls, now)).await;
        let result = match calls {
            Ok(_) => numbers(&http, provider, listing, config).await,
            Err(what) => Err(what),
        };
        probes.push(Probe { name, result });
    }
    probes
}

async fn answer(http: &Http, request: ApiRequest) -> Result<Vec<u8>, String> {
    match http.answer_from_afar(request).await {
        Ok((200..=299, body)) => Ok(body),
        Ok((401 | 403, _)) => {
            Err("счёт или ключ не подходит. Исправьте account_sid и auth_tokens (или api_token)".to_owned())
        }
        Ok((404, _)) => Err("такого счёта у него нет. Исправьте account_sid или api_base".to_owned()),
        Ok((status, _)) => Err(format!("ответ {status} вместо списка звонков. Проверьте api_base")),
        Err(NoAnswer::NothingSent(_)) => {
            Err("соединения нет. Проверьте api_base и выход этой машины в сеть".to_owned())
        }
        Err(NoAnswer::Lost(_)) => Err("ответа нет. Проверьте api_base или повторите позже".to_owned()),
    }
}

/// Whether the numbers of our lines lead to us. Of numbers that are not ours nothing is said.
async fn numbers(
    http: &Http,
    provider: &dyn Provider,
    listing: &dyn Listing,
    config: &Config,
) -> Result<String, String> {
    const KNOWN: &str = "счёт и ключ подходят";
    let Some(request) = listing.numbers_request() else { return Ok(KNOWN.to_owned()) };
    let listed = match http.answer_from_afar(request).await {
        Ok((200..=299, body)) => listing.parse_numbers(&body).map_err(|_| "список номеров не читается".to_owned())?,
        // Not every key may ask for it.
        _ => return Ok(format!("{KNOWN}; адреса номеров он не показал, сверьте их сами")),
    };
    let wanted = format!("{}/webhooks/{}/voice", config.server.public_url, provider.name());
    let ours: Vec<_> = listed.iter().filter(|listed| config.lines.is_own(&listed.number)).collect();
    // Their address stands with the application, which the list of numbers does not have.
    let (elsewhere, plain): (Vec<&ListedNumber>, Vec<&ListedNumber>) =
        ours.iter().partition(|listed| listed.answered_by.is_some());
    let of_applications: Vec<String> = elsewhere.iter().take(MAX_TOLD).map(|listed| listed.number.spaced()).collect();
    let wrong: Vec<String> = plain
        .iter()
        .filter(|listed| listed.voice_url.as_deref() != Some(wanted.as_str()))
        .map(|listed| match &listed.voice_url {
            Some(url) => format!("{} ведёт на {url}", listed.number.spaced()),
            None => format!("{} никуда не ведёт", listed.number.spaced()),
        })
        .take(MAX_TOLD)
        .collect();
    match (ours.len(), wrong.is_empty()) {
        (0, _) => Ok(format!("{KNOWN}; номеров наших линий у него нет, значит, звонки приходят переадресацией")),
        (count, true) if !of_applications.is_empty() => Ok(format!(
            "{KNOWN}, номеров наших линий: {count}; на звонки {} отвечает приложение в кабинете оператора, сверьте, что в нём \
             стоит {wanted}",
            of_applications.join(", ")
        )),
        (count, true) => Ok(format!("{KNOWN}, номеров наших линий: {count}, все ведут сюда")),
        (_, false) => Err(format!("номер {}, а нужно {wanted}. Исправьте у оператора", wrong.join("; "))),
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::State;
    use axum::http::{StatusCode, Uri};
    use axum::response::IntoResponse;

    use super::*;
    use crate::app::config;

    const NOW: &str = "2026-11-20T12:00:00+03:00";

    /// What is said of a provider that answers a list of calls with this status and tells these numbers.
    async fn told(status: u16, numbers: &'static str) -> Result<String, String> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = async |State(status): State<u16>, uri: Uri| {
            let is_list = uri.path().ends_with("/Calls.json");
            let status = StatusCode::from_u16(status).unwrap();
            if is_list { (status, r#"{"calls":[]}"#).into_response() } else { numbers.into_response() }
        };
        let serving = tokio::spawn(async move {
            axum::serve(listener, axum::Router::new().fallback(answer).with_state(status)).await
        });
        let text = format!(
            "[server]\npublic_url = \"https://calls.example.org\"\n[[providers]]\nname = \"twilio\"\nkind = \"twiml\"\n\
             account_sid = \"AC1\"\nauth_tokens = [\"tishe-vody-nizhe-travy\"]\napi_base = \"http://{address}\"\n"
        );
        let config = config::parse(&text, None, []).unwrap();
        let mut probes = ask(&config, NOW.parse().unwrap()).await;
        serving.abort();
        assert_eq!(probes.len(), 1);
        probes.remove(0).result
    }

    /// Threat: an account «123» and a token «abc» look as if all were well.
    #[tokio::test]
    async fn operator_says_whether_account_and_key_are_right() {
        for (status, what) in [
            (401, "счёт или ключ не подходит"),
            (403, "счёт или ключ не подходит"),
            (404, "такого счёта у него нет"),
            (500, "ответ 500 вместо списка звонков"),
        ] {
            let told = told(status, "").await.unwrap_err();
            assert!(told.starts_with(what), "{status}: {told}");
        }
    }

    #[tokio::test]
    async fn numbers_that_lead_elsewhere_are_named() {
        let wrong = r#"{"incoming_phone_numbers":[{"phone_number":"+79288328088","voice_url":"https://old.example/voice"},
            {"phone_number":"+78712000199","voice_url":"https://shop.example"}]}"#;
        let said = told(200, wrong).await.unwrap_err();
        assert!(said.contains("8 928 832-80-88 ведёт на https://old.example/voice, а нужно https://calls.example.org/webhooks/twilio/voice"), "{said}");
        let right = r#"{"incoming_phone_numbers":[
            {"phone_number":"+79288328088","voice_url":"https://calls.example.org/webhooks/twilio/voice"}]}"#;
        assert_eq!(told(200, right).await.unwrap(), "счёт и ключ подходят, номеров наших линий: 1, все ведут сюда");
        let application = r#"{"incoming_phone_numbers":[{"phone_number":"+79288328088","voice_url":"https://demo.twilio.com",
            "voice_application_sid":"AP1","trunk_sid":null}]}"#;
        let said = told(200, application).await.unwrap();
        assert!(said.contains("на звонки 8 928 832-80-88 отвечает приложение"), "{said}");
        let none = told(200, r#"{"incoming_phone_numbers":[]}"#).await.unwrap();
        assert!(none.contains("приходят переадресацией"), "{none}");
    }
}
