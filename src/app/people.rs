//! `perezvon officer` and `perezvon token`: who may come in. Secrets are printed once and kept only as hashes.

use std::io::Write;

use anyhow::{Context as _, bail};

use super::cli::{OfficerCommand, TokenCommand};
use crate::core::line::LineId;
use crate::core::line_scope::LineScope;
use crate::core::officer::Role;
use crate::core::written_text::in_one_line;
use crate::store::{Store, Token};
use crate::time::{Date, SignedDuration, Timestamp, from_millisecond};
use crate::web::password;

pub async fn officer(
    command: &OfficerCommand,
    store: &Store,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    match command {
        OfficerCommand::Add { name, login, role, lines } => {
            let scope = scope(lines, *role, store)?;
            let secret = password::generate();
            if !store.add_limited_officer(login, name, *role, scope.clone(), &password::hash(&secret), now).await? {
                bail!("логин {login} уже есть; новый пароль: perezvon officer reset {login}");
            }
            let (name, login) = (in_one_line(name), in_one_line(login));
            writeln!(out, "Сотрудник: {name} ({})\nЛогин: {login}\nПароль: {secret}", role.title())?;
            if !scope.is_all() {
                writeln!(out, "Линии: {}", scope.titles(&store.lines()))?;
            }
            writeln!(out, "Пароль показан один раз и нигде не хранится.")?;
        }
        OfficerCommand::List => {
            for officer in store.officers().await? {
                let state = match (officer.disabled_at, officer.can_come_in()) {
                    (Some(_), _) => ", отключён",
                    (None, false) => ", приглашён",
                    (None, true) => "",
                };
                let (name, login) = (in_one_line(&officer.name), in_one_line(&officer.login));
                let lines = named_lines(&officer.scope(), store);
                writeln!(out, "{login}  {name} ({}{state}{lines})", officer.role.as_str())?;
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
        TokenCommand::Add { name, role, expires, lines } => {
            let scope = scope(lines, *role, store)?;
            let expires_at = expires.map(|date| end_of(date, store)).transpose()?;
            if expires_at.is_some_and(|expires_at| expires_at <= now) {
                bail!("такой ключ уже не действовал бы: назовите сегодняшний день или более поздний");
            }
            let (secret, sha256) = password::generate_token();
            let id = store.add_limited_token(name, *role, scope.clone(), sha256, expires_at, now).await?;
            writeln!(out, "Номер: {id}\nНазвание: {} ({})\nКлюч: {secret}", in_one_line(name), role.as_str())?;
            if !scope.is_all() {
                writeln!(out, "Линии: {}", scope.titles(&store.lines()))?;
            }
            if let Some(date) = expires {
                writeln!(out, "Действует до конца дня {}.", date.strftime("%d.%m.%Y"))?;
            }
            writeln!(out, "Ключ показан один раз и нигде не хранится.")?;
        }
        TokenCommand::List => {
            for token in store.tokens().await? {
                let state = token_state(&token, store, now);
                let (name, lines) = (in_one_line(&token.name), named_lines(&token.lines, store));
                writeln!(out, "{}  {name} ({}{state}{lines})", token.id, token.role.as_str())?;
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

/// The lines that were named; a name that no line has tells which there are.
fn scope(named: &[String], role: Role, store: &Store) -> anyhow::Result<LineScope> {
    let lines = store.lines();
    if let Some(unknown) = named.iter().find(|id| lines.get(&LineId::new(id)).is_none()) {
        let known: Vec<&str> = lines.iter().map(|line| line.id.as_str()).collect();
        bail!("линии {unknown} нет; линии: {}", known.join(", "));
    }
    if role >= Role::Senior && !named.is_empty() {
        bail!("старший и администратор видят все линии: уберите --line или выберите роль officer или observer");
    }
    Ok(LineScope::of(named.iter().map(|id| LineId::new(id))))
}

/// «, линии: Родители»; nothing where it is all.
fn named_lines(scope: &LineScope, store: &Store) -> String {
    if scope.is_all() { String::new() } else { format!(", линии: {}", scope.titles(&store.lines())) }
}

/// The first instant after this day, by the school's clock.
fn end_of(date: Date, store: &Store) -> anyhow::Result<Timestamp> {
    let next = date.tomorrow().context("такой даты нет")?;
    let zone = store.lines().default_calendar().time_zone().clone();
    Ok(from_millisecond(next.to_zoned(zone).context("такой даты нет")?.timestamp().as_millisecond()))
}

/// «, отозван», «, действует до 30.06.2027, последний раз 23.11.2026 09:12».
fn token_state(token: &Token, store: &Store, now: Timestamp) -> String {
    let zone = store.lines().default_calendar().time_zone().clone();
    let written = |at: Timestamp, form: &str| at.to_zoned(zone.clone()).strftime(form).to_string();
    let last_day = |expires_at: Timestamp| written(expires_at - SignedDuration::from_millis(1), "%d.%m.%Y");
    let term = match (token.revoked_at, token.expires_at) {
        (Some(_), _) => ", отозван".to_owned(),
        (None, Some(expires_at)) if expires_at <= now => format!(", истёк {}", last_day(expires_at)),
        (None, Some(expires_at)) => format!(", действует до {}", last_day(expires_at)),
        (None, None) => String::new(),
    };
    match token.last_used_at {
        Some(at) => format!("{term}, последний раз {}", written(at, "%d.%m.%Y %H:%M")),
        None => format!("{term}, ещё не использован"),
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::core::calendar::{Calendar, Hours};
    use crate::core::line::{Line, Lines};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    struct Office {
        store: Store,
        _folder: tempfile::TempDir,
    }

    impl Office {
        async fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", folder.path().join("perezvon.db").display());
            let calendar = Calendar::new(Hours::default());
            let line = |id, title| Line::new(LineId::new(id), None, title, calendar.clone());
            let lines = Lines::new(vec![line("parents", "Родители"), line("staff", "Сотрудники")], calendar.clone());
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
        OfficerCommand::Add {
            name: "Зарема".to_owned(),
            login: "zarema".to_owned(),
            role: Role::Admin,
            lines: Vec::new(),
        }
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
        let add = TokenCommand::Add { name: "crm".to_owned(), role: Role::Observer, expires: None, lines: Vec::new() };
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

    /// Threat: a token of a program that nobody remembers opens everything for ever.
    #[tokio::test]
    async fn token_expires_after_its_last_day_and_shows_its_use() {
        let office = Office::open().await;
        let (store, mut out) = (&office.store, Vec::new());
        let add = |expires: &str| TokenCommand::Add {
            name: "crm".to_owned(),
            role: Role::Observer,
            expires: Some(expires.parse().unwrap()),
            lines: Vec::new(),
        };
        assert!(token(&add("1969-12-31"), store, NOW, &mut out).await.is_err(), "its last day is over");
        token(&add("1970-01-01"), store, NOW, &mut out).await.unwrap();
        let said = String::from_utf8(std::mem::take(&mut out)).unwrap();
        assert!(said.contains("Действует до конца дня 01.01.1970."), "{said}");
        let secret = said.split("Ключ: ").nth(1).unwrap().lines().next().unwrap();
        let sha256 = || Sha256::digest(secret).to_vec();
        let midnight = store.tokens().await.unwrap()[0].expires_at.unwrap();
        let last = midnight - SignedDuration::from_millis(1);
        assert!(store.token_holder(sha256(), last).await.unwrap().is_some(), "in its last millisecond");
        assert!(store.token_holder(sha256(), midnight).await.unwrap().is_none(), "the next day has begun");
        // Behind the note of its use, which nobody waits for.
        store.clear_alarm("none", "", last).await.unwrap();
        assert_eq!(store.tokens().await.unwrap()[0].last_used_at, Some(last));
        let soon = last - SignedDuration::from_mins(4);
        store.token_holder(sha256(), soon).await.unwrap();
        store.clear_alarm("none", "", last).await.unwrap();
        assert_eq!(store.tokens().await.unwrap()[0].last_used_at, Some(last), "not at every request");
        token(&TokenCommand::List, store, midnight, &mut out).await.unwrap();
        let list = String::from_utf8(out).unwrap();
        assert!(list.contains("истёк 01.01.1970, последний раз 01.01.1970 23:59"), "{list}");
    }

    #[tokio::test]
    async fn line_that_nobody_has_is_told_with_those_there_are() {
        let office = Office::open().await;
        let (store, mut out) = (&office.store, Vec::new());
        let add = |lines: &[&str], role| OfficerCommand::Add {
            name: "Айшат М.".to_owned(),
            login: "aishat".to_owned(),
            role,
            lines: lines.iter().map(|&id| id.to_owned()).collect(),
        };
        let unknown = officer(&add(&["parents", "cellar"], Role::Officer), store, NOW, &mut out).await.unwrap_err();
        assert_eq!(unknown.to_string(), "линии cellar нет; линии: parents, staff");
        let senior = officer(&add(&["parents"], Role::Senior), store, NOW, &mut out).await.unwrap_err();
        assert!(senior.to_string().contains("видят все линии"), "{senior}");
        assert!(store.officers().await.unwrap().is_empty(), "nobody was added");
        officer(&add(&["parents"], Role::Officer), store, NOW, &mut out).await.unwrap();
        let said = String::from_utf8(std::mem::take(&mut out)).unwrap();
        assert!(said.contains("Линии: Родители"), "{said}");
        let scope = store.officer_by_login("aishat").await.unwrap().unwrap().scope();
        assert!(scope.allows(&LineId::new("parents")) && !scope.allows(&LineId::new("staff")));
        let lines = vec!["staff".to_owned()];
        let crm = TokenCommand::Add { name: "crm".to_owned(), role: Role::Observer, expires: None, lines };
        token(&crm, store, NOW, &mut out).await.unwrap();
        token(&TokenCommand::List, store, NOW, &mut out).await.unwrap();
        let said = String::from_utf8(out).unwrap();
        assert!(said.contains("(observer, ещё не использован, линии: Сотрудники)"), "{said}");
    }
}
