//! From the files to the rows: which file of the folder no row knows, and how a message's file finds its row again.

use std::collections::HashSet;
use std::io;

use tracing::info;

use super::Worker;
use crate::recordings::{KeyError, ReadError, RecordingName};
use crate::store::{StoreError, Voicemail, VoicemailState};

/// A file that no row names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Orphan {
    /// Of a message whose row still waits for its sound, or has given it up: it can be adopted.
    OfMessage { voicemail_id: i64, name: RecordingName },
    /// Sound that came by itself, of a message whose row waits or has given it up: the fetch job takes it.
    Arrived { voicemail_id: i64, name: RecordingName },
    /// The message is stored under another name.
    Superseded(String),
    /// The message was erased, and its file is still here.
    Erased(String),
    /// Nothing in the database says what it is.
    Unknown(String),
}

/// Why a file could not be attached to its message.
#[derive(Debug, thiserror::Error)]
pub enum NotAdopted {
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Locked(KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Meanwhile the service itself has stored or erased it.
    #[error("the message does not wait for its sound any more")]
    NotWaiting,
}

impl Worker {
    /// The files that no row names. `named`: the names that rows of stored messages and of greetings give.
    pub async fn orphans(&self, named: &HashSet<String>) -> Result<Vec<Orphan>, OrphansError> {
        let mut orphans = Vec::new();
        for file in self.folder.files().await?.into_iter().filter(|file| !named.contains(file)) {
            orphans.extend(self.orphan(file).await?);
        }
        Ok(orphans)
    }

    /// `None`: it is no recording and has its place.
    async fn orphan(&self, file: String) -> Result<Option<Orphan>, StoreError> {
        // Files that are being written, and deliveries that wait for the database.
        if file.starts_with('.') {
            return Ok(None);
        }
        let Ok(name) = file.parse::<RecordingName>() else { return Ok(Some(Orphan::Unknown(file))) };
        let Some(voicemail_id) = name.voicemail_id() else { return Ok(Some(Orphan::Unknown(file))) };
        let has_arrived = RecordingName::of_arrived(voicemail_id).is_ok_and(|arrived| arrived == name);
        let voicemail = self.store.voicemail(voicemail_id).await?;
        // Stored since its row was passed.
        if voicemail.as_ref().and_then(|it| it.sound.as_ref()).is_some_and(|sound| sound.name == file) {
            return Ok(None);
        }
        Ok(Some(match voicemail.map(|voicemail| voicemail.state) {
            None => Orphan::Unknown(file),
            Some(VoicemailState::Erased) => Orphan::Erased(file),
            Some(VoicemailState::Stored) => Orphan::Superseded(file),
            Some(VoicemailState::Pending | VoicemailState::Failed) if has_arrived => {
                Orphan::Arrived { voicemail_id, name }
            }
            Some(VoicemailState::Pending | VoicemailState::Failed) => Orphan::OfMessage { voicemail_id, name },
        }))
    }

    /// Attaches the file to its message as the fetch job would keep it: measured, written down, and the provider's copy to be
    /// deleted only if this one is whole.
    pub async fn adopt(&self, voicemail_id: i64, name: &RecordingName) -> Result<(), NotAdopted> {
        let now = self.clock.now();
        let waits = |voicemail: &Voicemail| matches!(voicemail.state, VoicemailState::Pending | VoicemailState::Failed);
        let voicemail = self.store.voicemail(voicemail_id).await?.filter(waits).ok_or(NotAdopted::NotWaiting)?;
        let kept = self.folder.kept(name).await.map_err(|error| match error {
            ReadError::Locked { error, .. } => NotAdopted::Locked(error),
            error => NotAdopted::Unreadable(error.to_string()),
        })?;
        let examined = self.examine(&voicemail, kept, String::new()).await;
        let examined = examined.map_err(|missed| NotAdopted::Unreadable(missed.to_string()))?;
        let archive = self.providers.get(&voicemail.provider).and_then(|provider| provider.archive());
        if let Some(reason) = self.keep(&voicemail, examined, archive, now).await.into_reason() {
            return Err(NotAdopted::Unreadable(reason));
        }
        info!(voicemail.id = voicemail_id, recording = %name, "Attached a file to its message");
        Ok(())
    }

    /// The fetch job looks at sound that came by itself at once, even if its message had been given up.
    pub async fn adopt_arrived(&self, voicemail_id: i64) -> Result<(), StoreError> {
        self.store.sound_arrived(voicemail_id, self.clock.now()).await
    }
}

/// Why files and rows could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum OrphansError {
    #[error("the recordings cannot be listed: {0}")]
    Folder(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}
