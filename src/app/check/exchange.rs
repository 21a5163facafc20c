//! What `perezvon check` says of the school's own exchange: what it needs of us, and, asked over its REST interface, what
//! it lacks. It is only asked, nothing of it is changed.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::Report;
use crate::app::config::{Config, is_loopback};
use crate::app::pbx;
use crate::core::phone::Telephone;
use crate::jobs::{Http, NoAnswer};
use crate::providers::asterisk::{Ari, Settings};

/// A shorter token could be guessed. `openssl rand -hex 24` has 48 characters.
pub(super) const SHORTEST_TOKEN: usize = 20;
/// The oldest exchange on which the dialplan was tried.
const OLDEST: u32 = 16;
/// The context in which calls from outside arrive.
const CONTEXT: &str = "perezvon";

/// `GET /asterisk/info`.
#[derive(Deserialize)]
struct Info {
    system: System,
    config: Named,
}

#[derive(Deserialize)]
struct System {
    version: String,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

/// One of `GET /asterisk/modules`.
#[derive(Deserialize)]
struct Module {
    name: String,
    #[serde(default)]
    status: String,
}

/// `GET /endpoints/PJSIP/{name}`: `online`, `offline` or `unknown`.
#[derive(Deserialize)]
struct Endpoint {
    state: String,
}

/// One of `GET /asterisk/config/dynamic/…`.
#[derive(Deserialize)]
struct Attribute {
    attribute: String,
    value: String,
}

/// `GET /asterisk/variable`.
#[derive(Deserialize)]
struct Variable {
    value: String,
}

/// Why the exchange did not tell.
enum Untold {
    /// In words.
    Unreachable(&'static str),
    Status(u16),
    /// Something else answers at that address.
    NotAri,
}

/// The exchange's REST interface, for questions only.
struct Asked<'a> {
    http: Http,
    ari: &'a Ari,
}

impl Asked<'_> {
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Untold> {
        match self.http.answer(self.ari.request("GET", path)).await {
            Ok((200..=299, body)) => serde_json::from_slice(&body).map_err(|_| Untold::NotAri),
            Ok((status, _)) => Err(Untold::Status(status)),
            Err(NoAnswer::NothingSent(_)) => Err(Untold::Unreachable("соединения нет")),
            Err(NoAnswer::Lost(_)) => Err(Untold::Unreachable("молчит")),
        }
    }
}

impl Report {
    /// `config.lines` name the telephones that must be there.
    pub(super) async fn exchange(&mut self, settings: &Settings, config: &Config) {
        self.tokens(settings);
        self.addresses(settings);
        match &settings.ari {
            None => self.fair(format!(
                "Подключение {}: ARI не настроен, и отсюда не видно, работает ли АТС, загружены ли модули и диалплан, есть ли \
                 телефоны. Со страницы «Перезвонить» она тоже не наберёт. Добавьте ari_base, ari_user и ari_password.",
                settings.name
            )),
            Some(ari) => self.ask_exchange(&Asked { http: Http::new(), ari }, settings, config).await,
        }
    }

    /// Which of our addresses the exchange uses, and whether it can.
    fn addresses(&mut self, settings: &Settings) {
        let Settings { name, public_url: url, .. } = settings;
        let here = Url::parse(url).is_ok_and(|url| is_loopback(&url));
        let elsewhere =
            settings.ari.as_ref().is_some_and(|ari| !Url::parse(&ari.base).is_ok_and(|url| is_loopback(&url)));
        match (here, elsewhere) {
            (true, true) => self.bad(format!(
                "Подключение {name}: АТС на другой машине (ari_base), а адрес {url} виден только на этой. Укажите внешний адрес в \
                 server.public_url."
            )),
            (true, false) => self.fair(format!(
                "Подключение {name}: адрес {url} годится, только если АТС на этой же машине. Если нет, укажите внешний адрес в \
                 server.public_url."
            )),
            (false, _) => {}
        }
        self.good(format!(
            "Подключение {name}: АТС обращается к {url}/webhooks/{name}/incoming и {url}/webhooks/{name}/ended, за приветствиями к \
             {url}/greetings/. Настройки АТС: perezvon pbx config --into /etc/asterisk"
        ));
    }

    fn tokens(&mut self, Settings { name, tokens, .. }: &Settings) {
        match tokens.len() {
            1 => self.good(format!("Подключение {name}: АТС, ключей: 1.")),
            count => self.fair(format!(
                "Подключение {name}: АТС, ключей: {count}. АТС пользуется первым; когда она его получила, остальные уберите."
            )),
        }
        if tokens.iter().any(|token| token.len() < SHORTEST_TOKEN) {
            self.fair(format!(
                "Подключение {name}: ключ короче {SHORTEST_TOKEN} знаков можно подобрать. Придумайте новый: openssl rand -hex 24"
            ));
        }
    }

    async fn ask_exchange(&mut self, asked: &Asked<'_>, settings: &Settings, config: &Config) {
        let name = &settings.name;
        let info = match asked.get::<Info>("asterisk/info").await {
            Ok(info) => info,
            Err(untold) => return self.bad(format!("Подключение {name}: {}", why(&untold, asked.ari))),
        };
        self.version(name, &info);
        self.modules(name, asked).await;
        self.trunk(asked, settings).await;
        self.telephones(name, asked, config).await;
        self.dialplan(asked, settings, config).await;
    }

    fn version(&mut self, name: &str, info: &Info) {
        let version = &info.system.version;
        let major = version.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<u32>().ok());
        match major {
            Some(major) if major < OLDEST => self
                .fair(format!("Подключение {name}: Asterisk {version}. Проверено на {OLDEST} и новее: обновите его.")),
            _ => self.good(format!("Подключение {name}: Asterisk {version} отвечает.")),
        }
        let systemname = &info.config.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if systemname.is_empty() {
            self.fair(format!(
                "Подключение {name}: у АТС нет имени, и звонки двух АТС могут получить одинаковые номера. Впишите в asterisk.conf, \
                 [options]: systemname = school, и перезапустите Asterisk."
            ));
        } else if !systemname.chars().all(plain) {
            self.bad(format!(
                "Подключение {name}: имя АТС {systemname} не годится: звонок, оборванный её падением, не дойдёт. Напишите в \
                 asterisk.conf, systemname, только латинские буквы, цифры, точку и дефис."
            ));
        }
    }

    async fn modules(&mut self, name: &str, asked: &Asked<'_>) {
        let Ok(loaded) = asked.get::<Vec<Module>>("asterisk/modules").await else {
            return self
                .fair(format!("Подключение {name}: список модулей АТС не читается. Загрузите res_ari_asterisk.so."));
        };
        let running = |module: &Module| module.status != "Not Running";
        let loaded: BTreeSet<_> =
            loaded.iter().filter(|module| running(module)).map(|module| module.name.trim_end_matches(".so")).collect();
        let missing: Vec<_> = pbx::MODULES.into_iter().filter(|module| !loaded.contains(module)).collect();
        match &missing[..] {
            [] => self.good(format!("Подключение {name}: модули, нужные диалплану, загружены.")),
            [first, ..] => self.bad(format!(
                "Подключение {name}: на АТС не загружены модули {}. Загрузите их (asterisk -rx 'module load {first}.so') и уберите их \
                 noload из modules.conf.",
                missing.join(", ")
            )),
        }
    }

    async fn trunk(&mut self, asked: &Asked<'_>, Settings { name, trunk, .. }: &Settings) {
        match asked.get::<Endpoint>(&format!("endpoints/PJSIP/{trunk}")).await {
            Ok(endpoint) if endpoint.state == "offline" => self.fair(format!(
                "Подключение {name}: оператор связи (точка {trunk} в pjsip.conf) не отвечает. Проверьте регистрацию: asterisk -rx \
                 'pjsip show registrations'"
            )),
            Ok(_) => self.good(format!("Подключение {name}: точка {trunk} к оператору связи на АТС есть.")),
            Err(_) => {
                return self.bad(format!(
                    "Подключение {name}: точки {trunk} на АТС нет. Назовите так раздел endpoint оператора связи в pjsip.conf или \
                     впишите его имя в trunk."
                ));
            }
        }
        let path = format!("asterisk/config/dynamic/res_pjsip/endpoint/{trunk}");
        let Ok(attributes) = asked.get::<Vec<Attribute>>(&path).await else { return };
        let context = attributes.iter().find(|found| found.attribute == "context").map(|found| found.value.as_str());
        if let Some(context) = context.filter(|context| *context != CONTEXT) {
            self.fair(format!(
                "Подключение {name}: звонки оператора связи приходят в контекст {context}. Если он не передаёт их в {CONTEXT}, \
                 впишите в точку {trunk}: context = {CONTEXT}"
            ));
        }
    }

    /// The extensions that any line rings.
    async fn telephones(&mut self, name: &str, asked: &Asked<'_>, config: &Config) {
        let extensions: BTreeSet<&str> = config
            .lines
            .iter()
            .flat_map(|line| &line.ring)
            .filter_map(|telephone| match telephone {
                Telephone::Extension(extension) => Some(extension.as_str()),
                Telephone::Number(_) => None,
            })
            .collect();
        for extension in extensions {
            match asked.get::<Endpoint>(&format!("endpoints/PJSIP/{extension}")).await {
                Ok(endpoint) if endpoint.state == "offline" => self.fair(format!(
                    "Подключение {name}: телефон {extension} сейчас не подключён к АТС, звонок пойдёт мимо него."
                )),
                Ok(_) => self.good(format!("Подключение {name}: телефон {extension} на АТС есть.")),
                Err(_) => self.bad(format!(
                    "Подключение {name}: телефона {extension} на АТС нет. Добавьте его в pjsip.conf или уберите из ring."
                )),
            }
        }
    }

    /// The exchange learns the version of its dialplan from the first call.
    async fn dialplan(&mut self, asked: &Asked<'_>, settings: &Settings, config: &Config) {
        let name = &settings.name;
        let path = format!("asterisk/variable?variable={}", pbx::VERSION_VARIABLE);
        let today = pbx::version(&pbx::Exchange { settings, lines: &config.lines, url: settings.public_url.clone() });
        match asked.get::<Variable>(&path).await {
            Ok(Variable { value }) if value == today => {
                self.good(format!("Подключение {name}: последний звонок шёл по сегодняшнему диалплану."));
            }
            Ok(Variable { value }) if !value.is_empty() => self.fair(format!(
                "Подключение {name}: последний звонок шёл не по сегодняшнему диалплану. Если с тех пор его не обновляли: perezvon pbx \
                 config --into /etc/asterisk, затем asterisk -rx 'dialplan reload'"
            )),
            _ => self.fair(format!(
                "Подключение {name}: с запуска АТС через диалплан Перезвона звонков не было. Позвоните на линию и проверьте ещё раз."
            )),
        }
    }
}

/// What is wrong with the way to the exchange, and what to do.
fn why(untold: &Untold, Ari { base, user, .. }: &Ari) -> String {
    match untold {
        Untold::Unreachable(how) => format!(
            "АТС по адресу {base} не отвечает ({how}). Запустите Asterisk; в http.conf нужны enabled = yes, bindaddr и bindport, те же, \
             что в ari_base."
        ),
        Untold::Status(401) => format!(
            "АТС не приняла ari_user или ari_password. Сравните их с разделом [{user}] в ari.conf; написать его может perezvon pbx \
             config --into, затем asterisk -rx 'module reload res_ari.so'"
        ),
        Untold::Status(status) if *status >= 500 => {
            format!("АТС по адресу {base} отвечает {}. Посмотрите её журнал.", status)
        }
        Untold::Status(_) | Untold::NotAri => format!(
            "по адресу {base} отвечает не ARI. Адрес оканчивается на /ari; в ari.conf нужно enabled = yes, и должны быть загружены \
             res_ari.so и res_ari_asterisk.so."
        ),
    }
}

#[cfg(test)]
mod tests;
