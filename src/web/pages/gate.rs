//! How often somebody may try to sign in: ten failures in a quarter of an hour, for one address and for one login.
//!
//! The address is the connection's, or what the proxy on this machine says it is, never a header that anybody can write.
//! A proxy that says nothing has all its clients at loopback; then only logins are counted, or ten wrong passwords from
//! anywhere would shut the door for the whole school.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::time::{Timestamp, elapsed_ms};

const MOST_FAILURES: u32 = 10;
const WINDOW_MS: i64 = 15 * 60 * 1000;
/// Keys remembered at most, some 1 MB. When all are in use those with the fewest failures are forgotten.
const MOST_KEYS: usize = 10_000;
/// Passwords hashed at once: each takes 19 MiB and a core.
const AT_ONCE: usize = 2;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Login(String),
}

struct Tries {
    since: Timestamp,
    count: u32,
}

/// Failures written into the audit within one window: whoever tries a thousand logins fills the log, not the database.
const MOST_WRITTEN: u32 = 300;

/// Counts tries. One for the process: a second instance counts for itself.
pub(super) struct Gate {
    tries: Mutex<HashMap<Key, Tries>>,
    /// Failures that were written down in the present window.
    written: Mutex<Option<Tries>>,
    pub hashing: Semaphore,
}

impl Gate {
    pub fn new() -> Self {
        Self { tries: Mutex::default(), written: Mutex::default(), hashing: Semaphore::new(AT_ONCE) }
    }

    /// Counts a try as failed before it is made, so that many at once cannot slip through. `Err`: seconds to wait.
    pub fn enter(&self, address: IpAddr, login: &str, now: Timestamp) -> Result<(), u64> {
        let mut tries = self.lock();
        let keys = keys(address, login);
        for key in keys.clone() {
            if let Some(known) = tries.get(&key) {
                let left = WINDOW_MS - elapsed_ms(known.since, now);
                if left > 0 && known.count >= MOST_FAILURES {
                    return Err((left as u64).div_ceil(1000));
                }
            }
        }
        for key in keys {
            if tries.len() >= MOST_KEYS && !tries.contains_key(&key) {
                make_room(&mut tries, now);
            }
            let known = tries.entry(key).or_insert(Tries { since: now, count: 0 });
            if elapsed_ms(known.since, now) >= WINDOW_MS {
                *known = Tries { since: now, count: 0 };
            }
            known.count += 1;
        }
        Ok(())
    }

    /// The try counted by [`Gate::enter`] was a good one: it is taken back, and the login starts afresh.
    pub fn passed(&self, address: IpAddr, login: &str) {
        let mut tries = self.lock();
        for key in keys(address, login) {
            match key {
                Key::Login(_) => drop(tries.remove(&key)),
                Key::Address(_) => {
                    if let Some(known) = tries.get_mut(&key) {
                        known.count = known.count.saturating_sub(1);
                    }
                }
            }
        }
    }

    /// Whether a failure may have a row of its own in the audit. Counts it.
    pub fn is_worth_writing_down(&self, now: Timestamp) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let present = written.take().filter(|window| elapsed_ms(window.since, now) < WINDOW_MS);
        let window = written.insert(present.unwrap_or(Tries { since: now, count: 0 }));
        window.count = window.count.saturating_add(1);
        window.count <= MOST_WRITTEN
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Tries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One household has a whole IPv6 network: it counts as one address.
fn keys(address: IpAddr, login: &str) -> impl Iterator<Item = Key> + Clone {
    let counted = (!address.is_loopback()).then(|| match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    });
    counted.map(Key::Address).into_iter().chain([Key::Login(login.to_lowercase())])
}

/// Forgets what has run out; if that is not enough, the tenth with the fewest failures, so that who is shut out stays
/// out.
fn make_room(tries: &mut HashMap<Key, Tries>, now: Timestamp) {
    tries.retain(|_, known| elapsed_ms(known.since, now) < WINDOW_MS);
    if tries.len() >= MOST_KEYS {
        let mut keys: Vec<_> = tries.iter().map(|(key, known)| (known.count, known.since, key.clone())).collect();
        keys.sort_by_key(|(count, since, _)| (*count, *since));
        for (_, _, key) in &keys[..MOST_KEYS / 10] {
            tries.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SignedDuration;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn the_eleventh_failure_waits_for_the_end_of_the_window() {
        let gate = Gate::new();
        for _ in 0..10 {
            assert_eq!(gate.enter(address(1), "madina", NOW), Ok(()));
        }
        assert_eq!(gate.enter(address(1), "aishat", NOW), Err(900), "the address is known");
        assert_eq!(gate.enter(address(2), "Madina", NOW), Err(900), "the login is known");
        assert_eq!(gate.enter(address(2), "aishat", NOW), Ok(()));
        let just_before = NOW + SignedDuration::from_secs(899);
        assert_eq!(gate.enter(address(1), "madina", just_before), Err(1));
        assert_eq!(gate.enter(address(1), "madina", NOW + SignedDuration::from_secs(900)), Ok(()));
    }

    #[test]
    fn a_proxy_that_tells_no_addresses_shuts_nobody_else_out() {
        let gate = Gate::new();
        let proxy = IpAddr::from([127, 0, 0, 1]);
        for number in 0..100 {
            assert_eq!(gate.enter(proxy, &format!("guess {}", number / 10), NOW), Ok(()));
        }
        assert_eq!(gate.enter(proxy, "guess 1", NOW), Err(900), "a login is counted all the same");
        assert_eq!(gate.enter(proxy, "madina", NOW), Ok(()));
    }

    #[test]
    fn signing_in_well_costs_nothing() {
        let gate = Gate::new();
        for _ in 0..100 {
            assert_eq!(gate.enter(address(1), "madina", NOW), Ok(()));
            gate.passed(address(1), "madina");
        }
    }

    #[test]
    fn a_flood_of_failures_is_written_down_in_part() {
        let gate = Gate::new();
        let written = (0..2 * MOST_WRITTEN).filter(|_| gate.is_worth_writing_down(NOW)).count();
        assert_eq!(written, MOST_WRITTEN as usize);
        assert!(gate.is_worth_writing_down(NOW + SignedDuration::from_secs(900)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let gate = Gate::new();
        for _ in 0..MOST_FAILURES {
            assert_eq!(gate.enter(address(1), "madina", NOW), Ok(()));
        }
        for number in 0..2 * MOST_KEYS {
            let address = IpAddr::from((number as u32).to_be_bytes());
            assert_eq!(gate.enter(address, &number.to_string(), NOW), Ok(()));
        }
        assert!(gate.lock().len() <= MOST_KEYS);
        assert_eq!(gate.enter(address(1), "aishat", NOW), Err(900), "who is shut out stays out");
    }
}
