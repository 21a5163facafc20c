//! What `perezvon check` says of telephony providers: their keys, and the addresses to copy.

use url::Url;

use super::Report;
use crate::app::config::{Config, ProviderConfig, is_loopback};
use crate::app::house;
use crate::providers::listing_of;
use crate::providers::twiml::{Settings, Signature};

/// What stands in perezvon.example.toml.
const EXAMPLE_URL: &str = "https://calls.example.org";

impl Report {
    pub(super) async fn providers(&mut self, config: &Config) {
        let of_operators = config.providers.iter().any(|provider| matches!(provider, ProviderConfig::Twiml { .. }));
        self.public_url(&config.server.public_url, of_operators);
        if config.providers.is_empty() {
            self.fair(
                "Подключений к операторам связи нет, звонки не придут. Добавьте раздел [[providers]], образец в \
                       perezvon.example.toml.",
            );
            return;
        }
        for provider in &config.providers {
            match provider {
                ProviderConfig::Twiml { settings, api_token } => {
                    self.twiml(settings, api_token.as_deref());
                    self.operators_keys(settings);
                    self.without_service(&settings.name, config);
                }
                ProviderConfig::Asterisk(settings) => self.exchange(settings, config).await,
            }
        }
    }

    fn twiml(&mut self, settings: &Settings, api_token: Option<&str>) {
        let Settings { name, public_url, .. } = settings;
        let keys = settings.auth_tokens.len();
        self.good(format!("Подключение {name}: подпись {}, ключей: {keys}.", signature(settings.signature)));
        if settings.signature == Signature::Telnyx && api_token.is_none() {
            self.fair(format!(
                "Подключение {name}: открытый ключ Telnyx только проверяет подпись. Чтобы спрашивать у Telnyx о записях, \
                 впишите API Key в api_token."
            ));
        }
        for (endpoint, what) in [("voice", "входящие звонки"), ("status", "состояние звонка")]
        {
            self.good(format!(
                "Подключение {name}, {what}: впишите у оператора {public_url}/webhooks/{name}/{endpoint}"
            ));
        }
    }

    /// What happens while this server is away: who takes the messages, and how they are found afterwards.
    fn without_service(&mut self, name: &str, config: &Config) {
        let lines: Vec<&str> = config.lines.iter().map(|line| line.id.as_str()).collect();
        self.fair(format!(
            "Подключение {name}, запасной адрес: документ для него печатает perezvon provider fallback {name} --line ЛИНИЯ \
             (линии: {}). Положите его туда, где он доступен и без этого сервера (у оператора или на сайте школы), и впишите у \
             оператора тот адрес. Адрес {}/webhooks/{name}/fallback помогает только при ошибке самой службы.",
            lines.join(", "),
            config.server.public_url
        ));
        let providers = house::providers(config, false);
        match providers.get(name).map(listing_of) {
            Some(Ok(_)) => self.good(format!(
                "Подключение {name}: списки звонков и записей сверяются при запуске, каждый час и ночью за неделю."
            )),
            Some(Err(why)) => self.fair(format!("Подключение {name}: {}", why.in_words())),
            None => {}
        }
    }

    fn public_url(&mut self, public_url: &str, of_operators: bool) {
        let Ok(url) = Url::parse(public_url) else { return };
        match (is_loopback(&url), url.scheme()) {
            // An exchange on this machine reaches it; of one elsewhere its own lines tell.
            (true, _) if !of_operators => {}
            (true, _) => self.fair(format!(
                "Адрес {public_url} виден только на этой машине, оператор связи до него не дойдёт. Укажите внешний адрес: \
                 server.public_url."
            )),
            (false, "http") => self.fair(format!(
                "Адрес {public_url} без шифрования: номера и записи пойдут по сети открыто. Поставьте перед службой https и \
                 исправьте server.public_url."
            )),
            // Cookies are for https alone then, so nobody stays signed in who comes by the machine's own address over http.
            (false, _) if public_url == EXAMPLE_URL => self.fair(format!(
                "Адрес {public_url} взят из примера: операторы не дойдут, а вход по http не сохранится. Впишите свой: \
                 server.public_url."
            )),
            (false, _) => self.good(format!("Адрес службы снаружи: {public_url}.")),
        }
    }
}

fn signature(signature: Signature) -> &'static str {
    match signature {
        Signature::Twilio => "twilio",
        Signature::SignalWire => "signalwire",
        Signature::Telnyx => "telnyx",
    }
}
