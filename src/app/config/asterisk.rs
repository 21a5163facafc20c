//! `[[providers]]` with `kind = "asterisk"`: the school's own exchange.

use std::sync::Arc;

use crate::providers::asterisk::{Ari, Settings};

use super::mistakes::{At, Notes, shown};
use super::places::{base_url, is_loopback};
use super::providers::{ReadFile, token_mistake, tokens_of_file};
use super::secret::secret;
use super::section::Section;

const USUAL_TRUNK: &str = "trunk";

/// `None`: something was noted. All keys are read before the first is missed.
pub(super) fn settings(
    section: &Section<'_>,
    name: Option<&str>,
    public_url: Option<&str>,
    read_file: ReadFile<'_>,
    notes: &mut Notes,
) -> Option<Settings> {
    let tokens = tokens(section, read_file, notes);
    let trunk = trunk(section, notes);
    let ari = ari(section, read_file, notes);
    Some(Settings {
        name: Arc::from(name?),
        public_url: public_url?.to_owned(),
        tokens: tokens?,
        trunk: trunk?.to_owned(),
        ari: ari?,
    })
}

/// The tokens of `tokens`, then those of the file; at least one.
fn tokens(section: &Section<'_>, read_file: ReadFile<'_>, notes: &mut Notes) -> Option<Vec<String>> {
    let mut found: Vec<(At, String)> =
        section.texts("tokens").into_iter().map(|(at, token)| (at, token.to_owned())).collect();
    found.extend(tokens_of_file(section, "tokens_file", read_file, notes));
    let at = section.at("tokens");
    if found.is_empty() && !notes.has_one_about(&at.key) && !notes.has_one_about(&section.at("tokens_file").key) {
        let instead = "Напишите tokens = [\"…\"] с длинным случайным ключом или tokens_file = \"путь\"";
        notes.add(&at, "нет ни одного ключа: без него любой мог бы выдать себя за АТС", instead);
    }
    for (at, token) in &found {
        if token_mistake(token, None).is_some() {
            notes.add(
                at,
                "это не ключ",
                "Придумайте ключ из латинских букв и цифр, например командой openssl rand -hex 24",
            );
        }
    }
    (!found.is_empty()).then(|| found.into_iter().map(|(_, token)| token).collect())
}

/// It stands in the dialplan, so only what can stand there.
fn trunk<'a>(section: &Section<'a>, notes: &mut Notes) -> Option<&'a str> {
    let Some(trunk) = section.text("trunk") else {
        return (!section.has("trunk")).then_some(USUAL_TRUNK);
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !trunk.is_empty() && trunk.chars().all(plain) {
        return Some(trunk);
    }
    let instead = "Впишите имя раздела из pjsip.conf: латинские буквы, цифры, - . или _";
    notes.add(&section.at("trunk"), format!("{} не имя подключения в pjsip.conf", shown(trunk)), instead);
    None
}

/// All of it or nothing; `None`: something was noted.
fn ari(section: &Section<'_>, read_file: ReadFile<'_>, notes: &mut Notes) -> Option<Option<Ari>> {
    let has_password = section.has("ari_password") || section.has("ari_password_file");
    if !section.has("ari_base") && !section.has("ari_user") && !has_password {
        return Some(None);
    }
    const EXAMPLE: &str = "http://127.0.0.1:8088/ari";
    let base = section.required("ari_base", EXAMPLE, notes);
    let base = base.and_then(|text| base_url(text, &section.at("ari_base"), EXAMPLE, notes));
    let user = section.required("ari_user", "perezvon", notes);
    let password = secret(section, "ari_password", "пароля", read_file, notes);
    let at = section.at("ari_password");
    if password.is_none() && !notes.has_one_about(&at.key) && !notes.has_one_about(&section.at("ari_password_file").key)
    {
        notes.add(
            &at,
            "не хватает ключа ari_password",
            "Добавьте пароль из ari.conf или путь к нему: ari_password_file",
        );
    }
    let base = base?;
    if base.scheme() == "http" && !is_loopback(&base) {
        let instead =
            "Напишите https://; http допустим только для этой же машины: кто узнает пароль ARI, сможет на АТС всё";
        notes.add(&section.at("ari_base"), "по http пароль шёл бы открытым", instead);
        return None;
    }
    let base = base.as_str().trim_end_matches('/').to_owned();
    Some(Some(Ari { base, user: user?.to_owned(), password: password? }))
}
