//! How often a password or a code may be tried: ten times in a quarter of an hour for one login from one origin.
//!
//! Nobody without the password can keep an officer out. A browser that has signed in before as this login has a count of its
//! own, which nobody else can use up; any other has that of its address. What is counted more widely locks nobody out of a
//! login: an address has a hundred tries at all logins, so that ten wrong ones do not lock a school behind one address, and
//! once a login has been tried fifty times from unknown browsers anywhere, each further address has three tries instead of ten.
//! That slows many guessing machines down, and the right password still comes in from an address that nobody has used up. Only
//! the second factor is closed to unknown browsers then: whoever tries it knows the password already, and it has six digits.
//!
//! The address is the connection's, or what the proxy on this machine says it is, never a header that anybody can write.
//! A proxy that says nothing has all its clients at loopback; then they share one count for each login and none for the
//! address, or a hundred wrong passwords from anywhere would shut the door for the whole school.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::time::{Timestamp, elapsed_ms};

/// Tries at one target from one origin.
const MAX_TRIES: u32 = 10;
/// Tries at all targets from one address.
const MAX_TRIES_OF_ADDRESS: u32 = 100;
/// Tries at one target from unknown browsers, after which each address has fewer.
const MAX_TRIES_AT_TARGET: u32 = 50;
/// Tries at such a password from one address.
const MAX_TRIES_WHILE_GUESSED: u32 = 3;
const WINDOW_MS: i64 = 15 * 60 * 1000;
/// Keys remembered at most, some 1 MB. When all are in use those with the fewest failures are forgotten.
const MAX_KEYS: usize = 10_000;
/// Failures written into the audit within one window: whoever tries a thousand logins fills the log, not the database.
const MAX_WRITTEN: u32 = 300;

/// Where a try comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A browser that has signed in before as this officer.
    Device { officer_id: i64, device_id: [u8; 16] },
    /// Any other. One household has a whole IPv6 network: it counts as one address.
    Address(IpAddr),
}

impl Origin {
    pub fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
            }
            address => address,
        })
    }
}

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// By the login as it was typed, whether anybody has it or not.
    Password {
        login: String,
    },
    SecondFactor {
        officer_id: i64,
    },
    /// The password once more, by whoever has a session.
    Confirmation {
        officer_id: i64,
    },
}

impl Target {
    pub fn password(login: &str) -> Self {
        Self::Password { login: login.to_lowercase() }
    }

    fn max_tries_while_guessed(&self) -> u32 {
        match self {
            Self::Password { .. } => MAX_TRIES_WHILE_GUESSED,
            Self::SecondFactor { .. } | Self::Confirmation { .. } => 0,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    /// One origin at one target.
    Pair(Origin, Target),
    /// All unknown browsers at one target.
    Target(Target),
    /// One address at all targets.
    Address(IpAddr),
}

#[derive(Clone, Copy)]
struct Tries {
    since: Timestamp,
    count: u32,
}

impl Tries {
    /// Until the window ends, in ms; 0 or less: it has ended, or was begun by a clock that ran ahead.
    fn left_ms(&self, now: Timestamp) -> i64 {
        if self.since > now { 0 } else { WINDOW_MS - elapsed_ms(self.since, now) }
    }
}

/// Counts tries. One for the process: a second instance counts for itself.
#[derive(Default)]
pub struct LoginThrottle {
    tries: Mutex<HashMap<Key, Tries>>,
    /// Failures that were written down in the present window.
    written: Mutex<Option<Tries>>,
}

impl LoginThrottle {
    /// Counts a try as failed before it is made, so that many at once cannot slip through. `Err`: seconds to wait.
    pub fn try_acquire(&self, origin: Origin, target: &Target, now: Timestamp) -> Result<(), u64> {
        let mut tries = self.lock();
        let current = |key: &Key| tries.get(key).filter(|known| known.left_ms(now) > 0);
        let keys = keys(origin, target);
        let guessed = keys.iter().filter(|key| matches!(key, Key::Target(_))).find_map(current);
        let guessed = guessed.filter(|known| known.count >= MAX_TRIES_AT_TARGET);
        for key in &keys {
            let most = match key {
                Key::Pair(..) if guessed.is_some() => target.max_tries_while_guessed(),
                Key::Pair(..) => MAX_TRIES,
                Key::Address(_) => MAX_TRIES_OF_ADDRESS,
                Key::Target(_) => continue,
            };
            let used = current(key);
            if used.map_or(0, |known| known.count) >= most {
                let left_ms = used.or(guessed).map_or(0, |known| known.left_ms(now));
                return Err((left_ms as u64).div_ceil(1000));
            }
        }
        for key in keys {
            if tries.len() >= MAX_KEYS && !tries.contains_key(&key) {
                make_room(&mut tries, now);
            }
            let known = tries.entry(key).or_insert(Tries { since: now, count: 0 });
            if known.left_ms(now) <= 0 {
                *known = Tries { since: now, count: 0 };
            }
            known.count += 1;
        }
        Ok(())
    }

    /// The try counted by [`LoginThrottle::try_acquire`] was a good one: this origin starts afresh.
    pub fn reset(&self, origin: Origin, target: &Target) {
        self.take_back(origin, target);
        self.lock().remove(&Key::Pair(origin, target.clone()));
    }

    /// The try counted by [`LoginThrottle::try_acquire`] was not made after all.
    pub fn take_back(&self, origin: Origin, target: &Target) {
        let mut tries = self.lock();
        for key in keys(origin, target) {
            if let Some(known) = tries.get_mut(&key) {
                known.count = known.count.saturating_sub(1);
            }
        }
    }

    /// Whether a failure may have a row of its own in the audit. Counts it.
    pub fn is_worth_writing_down(&self, now: Timestamp) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let present = written.take().filter(|window| window.left_ms(now) > 0);
        let window = written.insert(present.unwrap_or(Tries { since: now, count: 0 }));
        window.count = window.count.saturating_add(1);
        window.count <= MAX_WRITTEN
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Tries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keys(origin: Origin, target: &Target) -> Vec<Key> {
    let pair = Key::Pair(origin, target.clone());
    match origin {
        Origin::Device { .. } => vec![pair],
        Origin::Address(address) if address.is_loopback() => vec![pair, Key::Target(target.clone())],
        Origin::Address(address) => vec![pair, Key::Target(target.clone()), Key::Address(address)],
    }
}

/// Forgets what has run out; if that is not enough, the tenth with the fewest failures, so that who is shut out stays
/// out.
fn make_room(tries: &mut HashMap<Key, Tries>, now: Timestamp) {
    tries.retain(|_, known| known.left_ms(now) > 0);
    if tries.len() >= MAX_KEYS {
        let mut keys: Vec<_> = tries.iter().map(|(key, known)| (known.count, known.since, key.clone())).collect();
        keys.sort_by_key(|(count, since, _)| (*count, *since));
        for (_, _, key) in &keys[..MAX_KEYS / 10] {
            tries.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SignedDuration;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const DEVICE: Origin = Origin::Device { officer_id: 7, device_id: [1; 16] };

    fn from(last: u8) -> Origin {
        Origin::address(IpAddr::from([192, 0, 2, last]))
    }

    fn madina() -> Target {
        Target::password("madina")
    }

    #[test]
    fn eleventh_failure_waits_for_the_end_of_the_window() {
        let throttle = LoginThrottle::default();
        for _ in 0..10 {
            assert_eq!(throttle.try_acquire(from(1), &madina(), NOW), Ok(()));
        }
        assert_eq!(throttle.try_acquire(from(1), &Target::password("Madina"), NOW), Err(900));
        let just_before = NOW + SignedDuration::from_secs(899);
        assert_eq!(throttle.try_acquire(from(1), &madina(), just_before), Err(1));
        assert_eq!(throttle.try_acquire(from(1), &madina(), NOW + SignedDuration::from_secs(900)), Ok(()));
    }

    /// Threat: ten wrong passwords from anywhere keep the officer out for a quarter of an hour.
    #[test]
    fn no_number_of_guesses_from_elsewhere_locks_a_login() {
        let throttle = LoginThrottle::default();
        for number in 0..200 {
            let _ = throttle.try_acquire(from(number), &madina(), NOW);
            while throttle.try_acquire(from(number), &madina(), NOW).is_ok() {}
        }
        assert_eq!(throttle.try_acquire(DEVICE, &madina(), NOW), Ok(()), "the officer's own browser");
        for _ in 0..3 {
            assert_eq!(throttle.try_acquire(from(250), &madina(), NOW), Ok(()), "an address that nobody has used");
        }
        assert_eq!(throttle.try_acquire(from(250), &madina(), NOW), Err(900), "while a login is guessed three must do");
        assert_eq!(throttle.try_acquire(from(250), &Target::password("aishat"), NOW), Ok(()));
    }

    /// Threat: ten wrong passwords from a school's one address lock out everybody behind it.
    #[test]
    fn one_address_has_a_hundred_tries_at_all_logins() {
        let throttle = LoginThrottle::default();
        for number in 0..100 {
            assert_eq!(
                throttle.try_acquire(from(1), &Target::password(&format!("guess {}", number / 10)), NOW),
                Ok(())
            );
        }
        assert_eq!(throttle.try_acquire(from(1), &madina(), NOW), Err(900));
        assert_eq!(throttle.try_acquire(from(2), &madina(), NOW), Ok(()));
        assert_eq!(throttle.try_acquire(DEVICE, &madina(), NOW), Ok(()), "a known browser behind the same address");
    }

    #[test]
    fn known_browser_has_ten_tries_too() {
        let throttle = LoginThrottle::default();
        for _ in 0..10 {
            assert_eq!(throttle.try_acquire(DEVICE, &madina(), NOW), Ok(()));
        }
        assert_eq!(throttle.try_acquire(DEVICE, &madina(), NOW), Err(900));
        assert_eq!(throttle.try_acquire(from(1), &madina(), NOW), Ok(()));
    }

    /// Threat: the login «code vic» is typed ten times, and vic's second factor is locked.
    #[test]
    fn no_login_counts_for_a_second_factor() {
        let throttle = LoginThrottle::default();
        for login in ["code vic", "7", "vic"] {
            while throttle.try_acquire(from(1), &Target::password(login), NOW).is_ok() {}
        }
        assert_eq!(throttle.try_acquire(from(1), &Target::SecondFactor { officer_id: 7 }, NOW), Ok(()));
    }

    /// Threat: who knows the password has six digits guessed by many machines.
    #[test]
    fn second_factor_is_closed_to_unknown_browsers_while_guessed() {
        let (throttle, factor) = (LoginThrottle::default(), Target::SecondFactor { officer_id: 7 });
        let tried = (0..200).filter(|number| throttle.try_acquire(from(*number), &factor, NOW).is_ok()).count();
        assert_eq!(tried, 50);
        assert_eq!(throttle.try_acquire(from(250), &factor, NOW), Err(900));
        assert_eq!(throttle.try_acquire(DEVICE, &factor, NOW), Ok(()));
    }

    #[test]
    fn proxy_that_tells_no_addresses_shuts_nobody_else_out() {
        let throttle = LoginThrottle::default();
        let proxy = Origin::address(IpAddr::from([127, 0, 0, 1]));
        for number in 0..400 {
            let login = format!("guess {}", number / 10);
            assert_eq!(throttle.try_acquire(proxy, &Target::password(&login), NOW), Ok(()));
        }
        assert_eq!(throttle.try_acquire(proxy, &Target::password("guess 1"), NOW), Err(900));
        assert_eq!(throttle.try_acquire(proxy, &madina(), NOW), Ok(()));
    }

    #[test]
    fn signing_in_well_costs_nothing() {
        let throttle = LoginThrottle::default();
        for _ in 0..400 {
            assert_eq!(throttle.try_acquire(from(1), &madina(), NOW), Ok(()));
            throttle.reset(from(1), &madina());
        }
    }

    #[test]
    fn try_that_was_not_made_costs_nothing() {
        let throttle = LoginThrottle::default();
        for _ in 0..400 {
            assert_eq!(throttle.try_acquire(from(1), &madina(), NOW), Ok(()));
            throttle.take_back(from(1), &madina());
        }
    }

    #[test]
    fn a_flood_of_failures_is_written_down_in_part() {
        let throttle = LoginThrottle::default();
        let written = (0..2 * MAX_WRITTEN).filter(|_| throttle.is_worth_writing_down(NOW)).count();
        assert_eq!(written, MAX_WRITTEN as usize);
        assert!(throttle.is_worth_writing_down(NOW + SignedDuration::from_secs(900)));
    }

    #[test]
    fn memory_is_bounded_and_who_is_shut_out_stays_out() {
        let throttle = LoginThrottle::default();
        for _ in 0..10 {
            throttle.try_acquire(from(1), &madina(), NOW).unwrap();
        }
        for number in 0..2 * MAX_KEYS as u32 {
            let network = IpAddr::from(Ipv6Addr::from_bits(u128::from(number) << 64));
            let _ = throttle.try_acquire(Origin::address(network), &Target::password(&format!("guess {number}")), NOW);
        }
        assert!(throttle.lock().len() <= MAX_KEYS);
        assert_eq!(throttle.try_acquire(from(1), &madina(), NOW), Err(900));
    }

    #[test]
    fn a_whole_ipv6_network_is_one_address() {
        let at = |text: &str| Origin::address(text.parse().unwrap());
        assert_eq!(at("2001:db8:0:1::7"), at("2001:db8:0:1::8"));
        assert_ne!(at("2001:db8:0:1::7"), at("2001:db8:0:2::7"));
        assert_eq!(at("::ffff:192.0.2.7"), at("192.0.2.7"));
        assert_eq!(at("::1"), Origin::Address("::1".parse().unwrap()));
    }
}
