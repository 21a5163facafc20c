//! Deliveries that could not be kept when they came, though their provider will not repeat them: kept in memory until
//! the database is back. The recording and status callbacks that follow tell of the same call, so losing this memory
//! loses no caller.

use std::collections::VecDeque;
use std::sync::Mutex;

use tracing::{error, info};

use super::{Delivery, Store};

/// How many may wait. A school has a call a minute: this is a week without a database.
const MOST: usize = 10_000;

#[derive(Default)]
pub(super) struct Late(Mutex<VecDeque<Delivery>>);

impl Store {
    /// Keeps a delivery in memory for [`Store::deliver_late`].
    pub fn deliver_later(&self, delivery: Delivery) {
        let mut waiting = self.late.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if waiting.len() == MOST {
            error!("More than {MOST} deliveries wait for the database; the oldest is dropped");
            waiting.pop_front();
        }
        waiting.push_back(delivery);
        metrics::gauge!("perezvon_deliveries_late").set(waiting.len() as f64);
    }

    /// Tries to keep what waits, oldest first, until one fails. The answer is how many were kept.
    pub async fn deliver_late(&self) -> usize {
        let mut kept = 0;
        loop {
            let oldest = self.late.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front();
            let Some(oldest) = oldest else { break };
            if self.deliver(oldest.clone()).await.is_err() {
                self.late.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push_front(oldest);
                break;
            }
            kept += 1;
        }
        if kept > 0 {
            info!("Kept {kept} deliveries that came while the database was away");
        }
        kept
    }
}
