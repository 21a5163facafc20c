//! `perezvon officer` and `perezvon token`: who may come in. Secrets are printed once and kept only as hashes.

use std::io::Write;

use anyhow::bail;

use super::cli::{OfficerCommand, TokenCommand};
use crate::core::officer::Role;
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
                let state = match (officer.disabled_at, officer.can_come_in()) {
                    (Some(_), _) => ", отключён",
                    (None, false) => ", приглашён",
                    (None, true) => "",
                };
                writeln!(out, "{}  {} ({}{state})", officer.login, officer.name, officer.role.as_str())?;
            }
        }
        OfficerCommand::Reset { login } => {
            let secret = password::generate();
            if !store.set_password(login, &password::hash(&secret), now).await? {
                bail!("логина {login} нет; все логины: perezvon officer list");
            }
            writeln!(out, "Логин: {login}\nНовый пароль: {secret}\nПароль показан один раз и нигде не хранится.")?;
            writeln!(out, "Все входы закрыты, второй фактор снят.")?;
        }
        OfficerCommand::Disable { login } => {
            if !store.disable_officer(login, now).await? {
                bail!("логина {login} нет; все логины: perezvon officer list");
            }
            writeln!(out, "{login}: вход закрыт, история осталась.")?;
            if !store.officers().await?.iter().any(|officer| officer.role == Role::Admin && officer.can_come_in()) {
                writeln!(
                    out,
                    "Администраторов не осталось; добавить: perezvon officer add ИМЯ --login ЛОГИН --role admin"
                )?;
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::calendar::{Calendar, Hours};
    use crate::core::line::Lines;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    struct Office {
        store: Store,
        _folder: tempfile::TempDir,
    }

    impl Office {
        async fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", folder.path().join("perezvon.db").display());
            let lines = Lines::new(Vec::new(), Calendar::new(Hours::default()));
            Self { store: Store::open(&url, lines).await.unwrap(), _folder: folder }
        }

        async fn officer(&self, command: OfficerCommand) -> String {
            let mut out = Vec::new();
            officer(&command, &self.store, NOW, &mut out).await.unwrap();
            String::from_utf8(out).unwrap()
        }

        async fn knows(&self, action: &str, object: &str) -> bool {
            let by = crate::core::officer::Actor::command_line();
            self.store.audited_since(&by, action, object, NOW).await.unwrap()
        }
    }

    fn zarema() -> OfficerCommand {
        OfficerCommand::Add { name: "Зарема".to_owned(), login: "zarema".to_owned(), role: Role::Admin }
    }

    #[tokio::test]
    async fn what_the_command_line_does_with_people_and_tokens_is_written_down() {
        let office = Office::open().await;
        office.officer(zarema()).await;
        let id = office.store.officer_by_login("zarema").await.unwrap().unwrap().id;
        office.officer(OfficerCommand::Reset { login: "zarema".to_owned() }).await;
        office.officer(OfficerCommand::Disable { login: "zarema".to_owned() }).await;
        for action in ["officer_add", "officer_reset", "officer_disable"] {
            assert!(office.knows(action, &format!("officer {id}")).await, "{action}");
        }
        let mut out = Vec::new();
        let add = TokenCommand::Add { name: "crm".to_owned(), role: Role::Observer };
        token(&add, &office.store, NOW, &mut out).await.unwrap();
        let id = office.store.tokens().await.unwrap()[0].id;
        token(&TokenCommand::Revoke { id }, &office.store, NOW, &mut out).await.unwrap();
        for action in ["token_add", "token_revoke"] {
            assert!(office.knows(action, &format!("token {id}")).await, "{action}");
        }
        assert!(token(&TokenCommand::Revoke { id }, &office.store, NOW, &mut out).await.is_err(), "once");
    }

    #[tokio::test]
    async fn a_reset_helps_who_has_lost_the_telephone_too() {
        let office = Office::open().await;
        office.officer(zarema()).await;
        let (store, by) = (&office.store, crate::core::officer::Actor::system());
        let id = store.officer_by_login("zarema").await.unwrap().unwrap().id;
        let code = vec![7; 32];
        assert!(store.switch_factor_on(id, vec![1; 20], 1, vec![code], "", &by, "", NOW).await.unwrap());
        let told = office.officer(OfficerCommand::Reset { login: "zarema".to_owned() }).await;
        assert!(told.contains("второй фактор снят"), "{told}");
        assert!(store.factor(id).await.unwrap().is_none());
        assert_eq!(store.recovery_codes_left(id).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn who_shuts_out_the_last_administrator_is_told_the_way_back() {
        let office = Office::open().await;
        office.officer(zarema()).await;
        let told = office.officer(OfficerCommand::Disable { login: "zarema".to_owned() }).await;
        assert!(told.contains("Администраторов не осталось"), "{told}");
        let told = office.officer(OfficerCommand::List).await;
        assert_eq!(told, "zarema  Зарема (admin, отключён)\n");
    }
}
