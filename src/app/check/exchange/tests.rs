use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::app::check::{Mark, Report};
use crate::app::config::{ProviderConfig, parse};

/// A small exchange: what it answers by path and query; 404 otherwise.
type Answers = BTreeMap<String, String>;

async fn answer(State(answers): State<Arc<Answers>>, uri: Uri, headers: HeaderMap) -> (StatusCode, String) {
    let expected = format!("Basic {}", BASE64_STANDARD.encode("perezvon:sezam"));
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(expected.as_str()) {
        return (StatusCode::UNAUTHORIZED, "{\"message\":\"Authentication required\"}".to_owned());
    }
    match answers.get(uri.path_and_query().map(|path| path.as_str()).unwrap_or_default()) {
        Some(body) => (StatusCode::OK, body.clone()),
        None => (StatusCode::NOT_FOUND, "{\"message\":\"not found\"}".to_owned()),
    }
}

/// Its address, for `ari_base`.
async fn exchange(answers: Answers) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(Arc::new(answers));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/ari")
}

/// An exchange that lacks nothing, but no call has come yet.
fn sound() -> Answers {
    let modules: Vec<_> =
        pbx::MODULES.iter().map(|name| format!("{{\"name\":\"{name}.so\",\"status\":\"Running\"}}")).collect();
    let endpoint = |name: &str, state: &str| {
        (
            format!("/ari/endpoints/PJSIP/{name}"),
            format!("{{\"technology\":\"PJSIP\",\"resource\":\"{name}\",\"state\":\"{state}\",\"channel_ids\":[]}}"),
        )
    };
    [
        (
            "/ari/asterisk/info".to_owned(),
            "{\"system\":{\"version\":\"22.10.1+dfsg\",\"entity_id\":\"02\"},\"config\":{\"name\":\"school\"}}"
                .to_owned(),
        ),
        ("/ari/asterisk/modules".to_owned(), format!("[{}]", modules.join(","))),
        endpoint("trunk", "online"),
        endpoint("101", "online"),
        (
            "/ari/asterisk/config/dynamic/res_pjsip/endpoint/trunk".to_owned(),
            "[{\"attribute\":\"allow\",\"value\":\"(alaw)\"},{\"attribute\":\"context\",\"value\":\"perezvon\"}]"
                .to_owned(),
        ),
        ("/ari/asterisk/variable?variable=PZ_VERSION".to_owned(), "{\"value\":\"\"}".to_owned()),
    ]
    .into()
}

fn settings(ari_base: &str, more: &str) -> Config {
    let text = format!(
        "[[lines]]\nid = \"staff\"\nnumber = \"89288036355\"\nring = [\"101\", \"8 928 111-22-33\"]\n[[providers]]\nname = \"asterisk\"\n\
         kind = \"asterisk\"\ntokens = [\"0123456789abcdef0123456789abcdef\"]\nari_base = \"{ari_base}\"\nari_user = \"perezvon\"\nari_password = \"sezam\"\n{more}"
    );
    parse(&text, None, std::iter::empty()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// What must be mended, what is worth a thought, and all of it.
async fn looked_at(config: &Config) -> (usize, usize, String) {
    let mut report = Report { findings: Vec::new() };
    report.providers(config).await;
    let count = |wanted| report.findings.iter().filter(|(mark, _)| *mark == wanted).count();
    let text = report.findings.iter().map(|(_, sentence)| format!("{sentence}\n")).collect();
    (count(Mark::Bad), count(Mark::Fair), text)
}

/// The exchange with one answer changed, or none at that address: the one thing that is told of it.
async fn told_of(path: &str, body: Option<&str>, words: &str, must_be_mended: bool) {
    let mut answers = sound();
    match body {
        Some(body) => answers.insert(path.to_owned(), body.to_owned()),
        None => answers.remove(path),
    };
    let (bad, fair, text) = looked_at(&settings(&exchange(answers).await, "")).await;
    // Always: the loopback address, and the call that has not come yet.
    let usual = usize::from(!path.contains("PZ_VERSION"));
    assert_eq!((bad, fair), (usize::from(must_be_mended), 1 + usual + usize::from(!must_be_mended)), "{path}: {text}");
    assert!(text.contains(words), "{path}: {text}");
}

#[tokio::test]
async fn what_an_exchange_lacks_is_named_with_what_to_do() {
    for (path, body, words, must_be_mended) in [
        ("/ari/endpoints/PJSIP/trunk", None, "точки trunk на АТС нет", true),
        ("/ari/endpoints/PJSIP/trunk", Some("{\"state\":\"offline\"}"), "pjsip show registrations", false),
        ("/ari/endpoints/PJSIP/101", None, "телефона 101 на АТС нет", true),
        ("/ari/endpoints/PJSIP/101", Some("{\"state\":\"offline\"}"), "телефон 101 сейчас не подключён", false),
        ("/ari/asterisk/modules", Some("[{\"name\":\"app_dial.so\",\"status\":\"Running\"}]"), "app_record", true),
        ("/ari/asterisk/modules", None, "список модулей АТС не читается", false),
        (
            "/ari/asterisk/config/dynamic/res_pjsip/endpoint/trunk",
            Some("[{\"attribute\":\"context\",\"value\":\"from-trunk\"}]"),
            "приходят в контекст from-trunk",
            false,
        ),
        (
            "/ari/asterisk/variable?variable=PZ_VERSION",
            Some("{\"value\":\"0123\"}"),
            "не по сегодняшнему диалплану",
            false,
        ),
        (
            "/ari/asterisk/info",
            Some("{\"system\":{\"version\":\"13.1\"},\"config\":{\"name\":\"s\"}}"),
            "Проверено на 16 и новее",
            false,
        ),
        (
            "/ari/asterisk/info",
            Some("{\"system\":{\"version\":\"22\"},\"config\":{\"name\":\"\"}}"),
            "systemname = school",
            false,
        ),
        (
            "/ari/asterisk/info",
            Some("{\"system\":{\"version\":\"22\"},\"config\":{\"name\":\"моя\"}}"),
            "имя АТС моя",
            true,
        ),
    ] {
        told_of(path, body, words, must_be_mended).await;
    }
}

#[tokio::test]
async fn a_module_that_is_there_and_does_not_run_is_missing() {
    let modules = sound()["/ari/asterisk/modules"].replace(
        "{\"name\":\"app_record.so\",\"status\":\"Running\"}",
        "{\"name\":\"app_record.so\",\"status\":\"Not Running\"}",
    );
    told_of("/ari/asterisk/modules", Some(&modules), "не загружены модули app_record.", true).await;
}

#[tokio::test]
async fn an_exchange_that_took_a_call_with_todays_dialplan_lacks_nothing() {
    let mut answers = sound();
    let base = exchange(sound()).await;
    let mut config = settings(&base, "");
    let of_exchange = &exchange_of(&mut config).clone();
    let today = pbx::version(&pbx::Exchange { settings: of_exchange, lines: &config.lines, url: String::new() });
    answers.insert("/ari/asterisk/variable?variable=PZ_VERSION".to_owned(), format!("{{\"value\":\"{today}\"}}"));
    let (bad, fair, text) = looked_at(&settings(&exchange(answers).await, "")).await;
    assert_eq!((bad, fair), (0, 1), "{text}");
    assert!(text.contains("по сегодняшнему диалплану") && text.contains("Asterisk 22.10.1"), "{text}");
    assert!(!text.contains("0123456789abcdef") && !text.contains("sezam"), "{text}");
}

fn exchange_of(config: &mut Config) -> &mut Settings {
    match &mut config.providers[0] {
        ProviderConfig::Asterisk(settings) => settings,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_way_that_leads_to_no_ari_is_explained() {
    let base = exchange(sound()).await;
    let free = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/ari", listener.local_addr().unwrap())
    };
    let page = exchange([("/ari/asterisk/info".to_owned(), "<html>It works!</html>".to_owned())].into()).await;
    for (base, password, words) in [
        (base.as_str(), "other", "не приняла ari_user или ari_password. Сравните их с разделом [perezvon] в ari.conf"),
        (&base.replace("/ari", "/asterisk"), "sezam", "отвечает не ARI. Адрес оканчивается на /ari"),
        (&page, "sezam", "отвечает не ARI"),
        (&free, "sezam", "не отвечает (соединения нет). Запустите Asterisk"),
    ] {
        let mut config = settings(base, "");
        let of_exchange = exchange_of(&mut config);
        of_exchange.ari.as_mut().unwrap().password = password.to_owned();
        let (bad, _, text) = looked_at(&config).await;
        assert_eq!(bad, 1, "{text}");
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn without_ari_it_is_said_what_cannot_be_seen() {
    let text = "server.public_url = \"https://calls.school.example\"\n[[providers]]\nname = \"pbx\"\nkind = \"asterisk\"\ntokens = [\"short\", \"0123456789abcdef0123456789abcdef\"]";
    let (bad, fair, text) = looked_at(&parse(text, None, std::iter::empty()).unwrap()).await;
    assert_eq!((bad, fair), (0, 3), "{text}");
    for words in ["ARI не настроен", "короче 20 знаков", "ключей: 2", "https://calls.school.example/webhooks/pbx/ended"]
    {
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn an_exchange_elsewhere_cannot_reach_an_address_of_this_machine() {
    let mut config = settings("https://203.0.113.7/ari", "");
    let of_exchange = exchange_of(&mut config);
    let ari = of_exchange.ari.take();
    let mut report = Report { findings: Vec::new() };
    let settings = Settings { ari, ..of_exchange.clone() };
    report.addresses(&settings);
    let (mark, text) = &report.findings[0];
    assert!(*mark == Mark::Bad && text.contains("АТС на другой машине"), "{text}");
}
