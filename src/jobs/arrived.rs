//! Sound that came by itself, with the end of its call: looked at and given its final name.

use tracing::{error, warn};

use super::Worker;
use super::fetch::{LARGEST_RECORDING, Missed};
use crate::recordings::{self, BadRecordingName, Kept, Mended, ReadError, RecordingName};
use crate::store::{StoreError, Voicemail, VoicemailState};

impl Worker {
    /// The sound that came by itself, under its final name, and what was wrong with the file before it was mended: an exchange
    /// that crashed has left lengths of zero in the header, which no player gets over.
    pub(super) async fn arrived(&self, voicemail: &Voicemail) -> Result<Option<(Kept, String)>, Missed> {
        let bad_name = |bad: BadRecordingName| Missed::Unreadable(bad.to_string());
        let waiting = RecordingName::of_arrived(voicemail.id).map_err(bad_name)?;
        let bytes = match self.folder.read(&waiting).await {
            Ok(bytes) => bytes,
            Err(ReadError::Missing(_)) => return Ok(None),
            Err(failed) => return Err(failed.into()),
        };
        let (bytes, broke_off) = match recordings::with_true_lengths(&bytes) {
            Some(Mended { bytes, broke_off: true }) => {
                (bytes, "the exchange broke off in the middle of the recording".to_owned())
            }
            Some(Mended { bytes, broke_off: false }) => (bytes, String::new()),
            None => (bytes, String::new()),
        };
        // What is no sound is kept all the same: it is all there is of a caller's message.
        let extension =
            recordings::sniff(&bytes).map_or(recordings::UNKNOWN_EXTENSION, |container| container.extension());
        let name = RecordingName::of(voicemail.id, voicemail.received_at, extension).map_err(bad_name)?;
        let mut incoming = self.folder.begin(name, LARGEST_RECORDING).await.map_err(Missed::Disk)?;
        incoming.write(&bytes).await.map_err(Missed::Disk)?;
        Ok(Some((incoming.finish().await.map_err(Missed::Disk)?, broke_off)))
    }

    /// Takes away the copy that waited. What a crash leaves of it is swept.
    pub(super) async fn forget_arrived(&self, voicemail_id: i64) {
        let Ok(waiting) = RecordingName::of_arrived(voicemail_id) else { return };
        if let Err(failed) = self.folder.remove(&waiting).await {
            warn!(voicemail.id = voicemail_id, error = %failed, "The sound as it came stays a while longer");
        }
    }

    /// Takes away what a crash, or the same end told twice, has left of sound that is stored.
    pub async fn sweep_arrived(&self) -> Result<(), StoreError> {
        let waiting = match self.folder.arrived().await {
            Ok(waiting) => waiting,
            Err(failed) => {
                error!(error = %failed, "The sound that came by itself cannot be listed: {failed}");
                return Ok(());
            }
        };
        for id in waiting {
            if self.store.voicemail(id).await?.is_some_and(|it| !matches!(it.state, VoicemailState::Pending)) {
                self.forget_arrived(id).await;
            }
        }
        Ok(())
    }
}
