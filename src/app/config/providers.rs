//! `[[providers]]`: how each telephony provider is reached and believed.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use url::Url;

use crate::providers::twiml::{Settings, Signature};
use crate::providers::{Kind, asterisk};

use super::mistakes::{At, Notes, nearest, reason, shown};
use super::places::{base_url, is_loopback};
use super::schema::{Shape, element_path, folded, is_name};
use super::section::Section;
use super::tree::{self, Node};

/// One configured provider, by the kind of its wire.
#[derive(Clone)]
pub enum ProviderConfig {
    Twiml {
        settings: Settings,
        /// What we show when we ask the provider, where that is not the token it signs with (SignalWire, Telnyx).
        api_token: Option<String>,
    },
    Asterisk(asterisk::Settings),
}

impl ProviderConfig {
    /// The name in `/webhooks/{name}/…`.
    pub fn name(&self) -> &str {
        match self {
            Self::Twiml { settings, .. } => &settings.name,
            Self::Asterisk(settings) => &settings.name,
        }
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twiml { settings, api_token } => f
                .debug_struct("Twiml")
                .field("name", &settings.name)
                .field("signature", &settings.signature)
                .field("public_url", &settings.public_url)
                .field("auth_tokens", &format_args!("{} hidden", settings.auth_tokens.len()))
                .field("api_token", &api_token.as_ref().map(|_| "hidden"))
                .field("api_base", &settings.api_base)
                .field("recording_hosts", &settings.recording_hosts)
                .finish_non_exhaustive(),
            Self::Asterisk(settings) => settings.fmt(f),
        }
    }
}

const KINDS: [(&str, Kind); 2] = [("twiml", Kind::Twiml), ("asterisk", Kind::Asterisk)];
/// Known by design; their tables are refused with a clear word until their codecs are here.
const KINDS_TO_COME: [&str; 4] = ["megafon_vats", "mango", "zadarma", "voximplant"];
/// What each kind has beside its name and kind.
const KEYS_OF_TWIML: [&str; 10] = [
    "signature",
    "account_sid",
    "auth_tokens",
    "auth_tokens_file",
    "api_token",
    "api_token_file",
    "api_base",
    "recording_hosts",
    "voice",
    "language",
];
const KEYS_OF_ASTERISK: [&str; 7] =
    ["tokens", "tokens_file", "trunk", "ari_base", "ari_user", "ari_password", "ari_password_file"];

const SIGNATURES: [(&str, Signature); 3] =
    [("twilio", Signature::Twilio), ("signalwire", Signature::SignalWire), ("telnyx", Signature::Telnyx)];

/// Reads a file that a `…_file` key names.
pub(super) type ReadFile<'a> = &'a dyn Fn(&str) -> std::io::Result<String>;

fn path_of(index: usize, node: &Node) -> String {
    element_path("providers", index, node, Shape::Named { by: "name", keys: &[] })
}

/// Takes the tables of kinds that are not built yet out of the tree, so that their keys are not called unknown.
pub(super) fn refuse_kinds_to_come(root: &mut Node, notes: &mut Notes) {
    let Some(Node { kind: tree::Kind::List(elements), .. }) = root.get_mut("providers") else { return };
    let mut index = 0;
    elements.retain(|node| {
        let section = Section::new(node, path_of(index, node));
        index += 1;
        let to_come = section.text("kind").filter(|kind| KINDS_TO_COME.contains(kind));
        if let Some(kind) = to_come {
            let what = format!("этот вид подключения ещё не встроен: {kind}");
            notes.add(
                &section.at("kind"),
                what,
                "Уберите это подключение; сейчас работают kind = \"twiml\" и kind = \"asterisk\"",
            );
        }
        to_come.is_none()
    });
}

pub(super) fn providers(
    root: &Node,
    public_url: Option<&str>,
    read_file: ReadFile<'_>,
    notes: &mut Notes,
) -> Vec<ProviderConfig> {
    let elements = root.get("providers").map(Node::elements).unwrap_or_default();
    let (mut names, mut accounts) = (HashSet::new(), HashMap::new());
    let mut providers = Vec::new();
    for (index, node) in elements.iter().enumerate().filter(|(_, node)| node.is_table()) {
        let section = Section::new(node, path_of(index, node));
        let name = name(&section, &mut names, notes);
        match kind(&section, notes) {
            Some(Kind::Asterisk) => {
                refuse_keys_of("twiml", &KEYS_OF_TWIML, &section, notes);
                let settings = super::asterisk::settings(&section, name, public_url, read_file, notes);
                providers.extend(settings.map(ProviderConfig::Asterisk));
            }
            // Where the kind is a mistake, the usual one shows what else is missing.
            Some(Kind::Twiml) | None => {
                refuse_keys_of("asterisk", &KEYS_OF_ASTERISK, &section, notes);
                let signature = signature(&section, notes);
                let settings = settings(&section, name, signature, public_url, read_file, notes);
                let api_token = api_token(&section, read_file, notes);
                if let Some(settings) = &settings {
                    refuse_second_account(settings, &mut accounts, &section, notes);
                }
                providers.extend(settings.map(|settings| ProviderConfig::Twiml { settings, api_token }));
            }
        }
    }
    providers
}

/// `None`: something was noted. All keys are read before the first is missed.
fn settings(
    section: &Section<'_>,
    name: Option<&str>,
    signature: Option<Signature>,
    public_url: Option<&str>,
    read_file: ReadFile<'_>,
    notes: &mut Notes,
) -> Option<Settings> {
    let account_sid = account_sid(section, notes);
    let auth_tokens = auth_tokens(section, signature, read_file, notes);
    let api_base = api_base(section, signature, notes);
    let recording_hosts = recording_hosts(section, api_base.as_ref(), notes);
    let voice = spoken(section, "voice", "Polly.Tatyana", notes);
    let language = spoken(section, "language", "ru-RU", notes);
    Some(Settings {
        name: Arc::from(name?),
        signature: signature?,
        public_url: public_url?.to_owned(),
        account_sid: account_sid?.to_owned(),
        auth_tokens: auth_tokens?,
        api_base: api_base?.as_str().trim_end_matches('/').to_owned(),
        recording_hosts,
        voice,
        language,
    })
}

fn name<'a>(section: &Section<'a>, known: &mut HashSet<String>, notes: &mut Notes) -> Option<&'a str> {
    let name = section.required("name", "twilio", notes)?;
    let at = section.at("name");
    if !is_name(name) {
        let instead =
            "Имя стоит в адресе /webhooks/имя/: латинские буквы, цифры, - или _, до 40 знаков, например \"twilio\"";
        notes.add(&at, format!("{} не годится в адрес", shown(name)), instead);
        return None;
    }
    if !known.insert(folded(name)) {
        notes.add(&at, format!("подключение {} уже есть", shown(name)), "Дайте каждому подключению своё имя");
    }
    Some(name)
}

/// Each call of an account that stands here twice would be logged twice, and its caller called twice.
fn refuse_second_account(
    settings: &Settings,
    known: &mut HashMap<(String, String), Arc<str>>,
    section: &Section<'_>,
    notes: &mut Notes,
) {
    let account = (settings.api_base.clone(), settings.account_sid.clone());
    // That a name stands twice is said already.
    if known.insert(account, settings.name.clone()).is_some_and(|name| name != settings.name) {
        let what = "эта учётная запись уже есть в другом подключении";
        notes.add(&section.at("account_sid"), what, "Оставьте одно подключение: иначе каждый звонок запишется дважды");
    }
}

/// The kind, or the one that was most likely meant: then its other keys are looked at too.
fn kind(section: &Section<'_>, notes: &mut Notes) -> Option<Kind> {
    let word = section.required("kind", "twiml", notes)?;
    let named = |word: &str| KINDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind);
    if let Some(kind) = named(word) {
        return Some(kind);
    }
    let near = nearest(word, KINDS.iter().map(|(word, _)| *word).chain(KINDS_TO_COME));
    let instead = match near {
        Some(near) if KINDS_TO_COME.contains(&near) => {
            format!("Вероятно, имелось в виду {near}, но этот вид ещё не встроен; сейчас работают twiml и asterisk")
        }
        Some(near) => format!("Напишите kind = \"{near}\""),
        None => "Напишите kind = \"twiml\" или kind = \"asterisk\"".to_owned(),
    };
    notes.add(&section.at("kind"), format!("неизвестный вид подключения {}", shown(word)), instead);
    near.and_then(named)
}

/// A key of another kind would be passed over in silence.
fn refuse_keys_of(kind: &str, keys: &[&str], section: &Section<'_>, notes: &mut Notes) {
    for key in keys.iter().filter(|key| section.has(key)) {
        let what = format!("ключ {key} бывает только у kind = \"{kind}\"");
        notes.add(&section.at(key), what, "Уберите его или исправьте kind");
    }
}

fn signature(section: &Section<'_>, notes: &mut Notes) -> Option<Signature> {
    if !section.has("signature") {
        return Some(Signature::Twilio);
    }
    let text = section.text("signature")?;
    let found = SIGNATURES.iter().find(|(word, _)| *word == text).map(|(_, signature)| *signature);
    if found.is_none() {
        let near = nearest(text, SIGNATURES.iter().map(|(word, _)| *word)).unwrap_or("twilio");
        let instead = format!("Напишите signature = \"{near}\"; бывают twilio, signalwire, telnyx");
        notes.add(&section.at("signature"), format!("неизвестная подпись {}", shown(text)), instead);
    }
    found
}

fn account_sid<'a>(section: &Section<'a>, notes: &mut Notes) -> Option<&'a str> {
    let sid = section.required("account_sid", "AC…", notes)?;
    if sid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Some(sid);
    }
    let instead = "Скопируйте его из личного кабинета оператора: латинские буквы, цифры и -";
    notes.add(&section.at("account_sid"), "это не идентификатор учётной записи", instead);
    None
}

/// The tokens of `auth_tokens`, then those of the file; at least one.
fn auth_tokens(
    section: &Section<'_>,
    signature: Option<Signature>,
    read_file: ReadFile<'_>,
    notes: &mut Notes,
) -> Option<Vec<String>> {
    let mut found = section.texts("auth_tokens");
    let of_file = tokens_of_file(section, "auth_tokens_file", read_file, notes);
    found.extend(of_file.iter().map(|(at, token)| (at.clone(), token.as_str())));
    // Said already if one of the keys is there and of no use.
    let at = section.at("auth_tokens");
    if found.is_empty() && !notes.has_one_about(&at.key) && !notes.has_one_about(&section.at("auth_tokens_file").key) {
        let instead = "Напишите auth_tokens = [\"…\"] с ключом из личного кабинета или auth_tokens_file = \"путь\"";
        notes.add(&at, "нет ни одного ключа: без него любой мог бы выдать себя за оператора", instead);
    }
    for (at, token) in &found {
        if let Some((what, instead)) = token_mistake(token, signature) {
            notes.add(at, what, instead);
        }
    }
    (!found.is_empty()).then(|| found.into_iter().map(|(_, token)| token.to_owned()).collect())
}

fn api_token(section: &Section<'_>, read_file: ReadFile<'_>, notes: &mut Notes) -> Option<String> {
    let mut found: Vec<(At, String)> =
        section.text("api_token").map(|token| (section.at("api_token"), token.to_owned())).into_iter().collect();
    found.extend(tokens_of_file(section, "api_token_file", read_file, notes));
    for (index, (at, token)) in found.iter().enumerate() {
        let second = ("здесь нужен один ключ", "Оставьте один: в api_token или в файле api_token_file");
        if let Some((what, instead)) = token_mistake(token, None).or((index > 0).then_some(second)) {
            notes.add(at, what, instead);
        }
    }
    found.into_iter().next().map(|(_, token)| token)
}

/// The file's lines without the empty ones. The path is not quoted in mistakes: sooner or later somebody writes the
/// token itself there.
pub(super) fn tokens_of_file(
    section: &Section<'_>,
    key: &str,
    read_file: ReadFile<'_>,
    notes: &mut Notes,
) -> Vec<(At, String)> {
    let Some(file) = section.text(key) else { return Vec::new() };
    let at = section.at(key);
    match read_file(file) {
        Ok(text) => {
            let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty());
            let tokens: Vec<_> = lines.map(|line| (at.clone(), line.to_owned())).collect();
            if tokens.is_empty() {
                notes.add(&at, "файл с ключами пуст", "Запишите в него ключи, по одному в строке");
            }
            tokens
        }
        Err(error) => {
            let what = format!("файл с ключами не читается: {}", reason(&error));
            notes.add(&at, what, "Проверьте путь (он от текущей папки) и права: файл должна читать служба");
            Vec::new()
        }
    }
}

/// What is wrong with a token. Its text is not quoted.
pub(super) fn token_mistake(token: &str, signature: Option<Signature>) -> Option<(&'static str, &'static str)> {
    if token.is_empty() {
        return Some(("пустой ключ", "Скопируйте ключ из личного кабинета оператора"));
    }
    if !token.chars().all(|c| c.is_ascii_graphic()) || token.chars().all(|c| c == '.') {
        return Some(("это не ключ", "Скопируйте ключ из личного кабинета оператора целиком, без пробелов"));
    }
    let is_key = || BASE64_STANDARD.decode(token).is_ok_and(|key| key.len() == 32);
    if signature == Some(Signature::Telnyx) && !is_key() {
        return Some(("это не открытый ключ Telnyx", "Скопируйте Public Key из кабинета Telnyx: 44 знака base64"));
    }
    None
}

fn api_base(section: &Section<'_>, signature: Option<Signature>, notes: &mut Notes) -> Option<Url> {
    let (usual, example) = match signature? {
        Signature::Twilio => (Some("https://api.twilio.com/2010-04-01"), "https://api.twilio.com/2010-04-01"),
        Signature::Telnyx => (Some("https://api.telnyx.com/v2/texml"), "https://api.telnyx.com/v2/texml"),
        // Every SignalWire space has a host of its own.
        Signature::SignalWire => (None, "https://space.signalwire.com/api/laml/2010-04-01"),
    };
    let at = section.at("api_base");
    let text = match (section.has("api_base"), usual) {
        (false, Some(usual)) => usual,
        _ => section.required("api_base", example, notes)?,
    };
    let url = base_url(text, &at, example, notes)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        notes.add(&at, "по http ключ шёл бы открытым", "Напишите https://; http допустим только для этой же машины");
        return None;
    }
    Some(url)
}

/// Hosts as `host` or `host:port`, lower case. Unset: the host of `api_base`.
fn recording_hosts(section: &Section<'_>, api_base: Option<&Url>, notes: &mut Notes) -> Vec<String> {
    if !section.has("recording_hosts") {
        let port = |url: &Url| url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = api_base.and_then(|url| Some(format!("{}{}", url.host_str()?, port(url))));
        return host.into_iter().collect();
    }
    let mut hosts = Vec::new();
    for (at, text) in section.texts("recording_hosts") {
        match recording_host(text) {
            Ok(host) => hosts.push(host),
            Err(what) => notes.add(&at, what, "Напишите только имя узла: \"api.twilio.com\""),
        }
    }
    hosts
}

fn recording_host(text: &str) -> Result<String, String> {
    let (scheme, host) = text.split_once("://").unwrap_or(("https", text));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    let host = host.strip_suffix('/').unwrap_or(host).to_lowercase();
    let url = Url::parse(&format!("{scheme}://{host}")).ok().filter(|_| !host.is_empty() && host.chars().all(plain));
    match url {
        Some(url) if scheme == "http" && !is_loopback(&url) => {
            Err("по http записи можно брать только с этой же машины".to_owned())
        }
        Some(_) if matches!(scheme, "http" | "https") => Ok(host),
        _ => Err(format!("{} не имя узла", shown(text))),
    }
}

fn spoken(section: &Section<'_>, key: &str, usual: &str, notes: &mut Notes) -> String {
    match section.text(key) {
        Some("") => {
            notes.add(&section.at(key), "значение пустое", format!("Уберите ключ или напишите {key} = \"{usual}\""));
            usual.to_owned()
        }
        Some(text) => text.to_owned(),
        None => usual.to_owned(),
    }
}
