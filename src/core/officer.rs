//! Who works in the house: roles, and the name under which an action is written down.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a person (or the token of a program) may do. Each role may do all that the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads, no recordings.
    Observer,
    /// Works the list.
    Officer,
    /// Reports by person, prompts, calendar besides.
    Senior,
    /// People, lines and deletion besides.
    Admin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Observer, Self::Officer, Self::Senior, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observer => "observer",
            Self::Officer => "officer",
            Self::Senior => "senior",
            Self::Admin => "admin",
        }
    }

    /// The word on the screen.
    pub fn title(self) -> &'static str {
        match self {
            Self::Observer => "Наблюдатель",
            Self::Officer => "Сотрудник",
            Self::Senior => "Старший",
            Self::Admin => "Администратор",
        }
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("there is no role «{text}»; roles are observer, officer, senior, admin"))
    }
}

/// Who did something: an officer, a program with a token, or the house itself. Written into rows as it is displayed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// `officer:7`, `token:3`, `system`, `command_line`, `stranger`: stable, compared.
    pub id: String,
    /// What colleagues read: «Мадина И.».
    pub name: String,
}

impl Actor {
    pub fn officer(id: i64, name: &str) -> Self {
        Self { id: format!("officer:{id}"), name: name.to_owned() }
    }

    pub fn token(id: i64, name: &str) -> Self {
        Self { id: format!("token:{id}"), name: name.to_owned() }
    }

    /// Whoever has the machine's command line.
    pub fn command_line() -> Self {
        Self { id: "command_line".to_owned(), name: "Командная строка".to_owned() }
    }

    /// Somebody at the door whom nobody knows yet.
    pub fn stranger() -> Self {
        Self { id: "stranger".to_owned(), name: "Неизвестно кто".to_owned() }
    }

    pub fn system() -> Self {
        Self { id: "system".to_owned(), name: "Перезвон".to_owned() }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
