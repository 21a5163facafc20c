//! `perezvon officer` and `perezvon token`: who may come in. Secrets are printed once and kept only as hashes.

use std::io::Write;

use anyhow::bail;

use super::cli::{OfficerCommand, TokenCommand};
use crate::store::Store;
use crate::time::Timestamp;
use crate::web::password;

pub async fn officer(
    command: &OfficerCommand,
    store: &Store,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    match command {
        OfficerCommand::Add { name, login, role } => {
            let secret = password::generate();
            if !store.add_officer(login, name, *role, &password::hash(&secret), now).await? {
                bail!("логин {login} уже есть; новый пароль: perezvon officer reset {login}");
            }
            writeln!(out, "Сотрудник: {name} ({})\nЛогин: {login}\nПароль: {secret}", role.title())?;
            writeln!(out, "Пароль показан один раз и нигде не хранится.")?;
        }
        OfficerCommand::List => {
            for officer in store.officers().await? {
                let disabled = if officer.disabled_at.is_some() { ", отключён" } else { "" };
                writeln!(out, "{}  {} ({}{disabled})", officer.login, officer.name, officer.role.as_str())?;
            }
        }
        OfficerCommand::Reset { login } => {
            let secret = password::generate();
            if !store.set_password(login, &password::hash(&secret), now).await? {
                bail!("логина {login} нет; все логины: perezvon officer list");
            }
            writeln!(out, "Логин: {login}\nНовый пароль: {secret}\nПароль показан один раз и нигде не хранится.")?;
        }
        OfficerCommand::Disable { login } => {
            if !store.disable_officer(login, now).await? {
                bail!("логина {login} нет; все логины: perezvon officer list");
            }
            writeln!(out, "{login}: вход закрыт, история осталась.")?;
        }
    }
    Ok(())
}

pub async fn token(command: &TokenCommand, store: &Store, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        TokenCommand::Add { name, role } => {
            let (secret, sha256) = password::generate_token();
            let id = store.add_token(name, *role, sha256, now).await?;
            writeln!(out, "Номер: {id}\nНазвание: {name} ({})\nКлюч: {secret}", role.as_str())?;
            writeln!(out, "Ключ показан один раз и нигде не хранится.")?;
        }
        TokenCommand::List => {
            for token in store.tokens().await? {
                let revoked = if token.revoked_at.is_some() { ", отозван" } else { "" };
                writeln!(out, "{}  {} ({}{revoked})", token.id, token.name, token.role.as_str())?;
            }
        }
        TokenCommand::Revoke { id } => {
            if !store.revoke_token(*id, now).await? {
                bail!("ключа {id} нет, или он уже отозван; все ключи: perezvon token list");
            }
            writeln!(out, "Ключ {id} отозван.")?;
        }
    }
    Ok(())
}
