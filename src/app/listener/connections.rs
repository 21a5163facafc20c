//! The open connections, and which of them is closed when there is no room for another.
//!
//! A connection either waits for its client (for the head of a request, for the rest of a body, for the answer to be taken) or
//! for us. Only the former can be held for as long as a stranger likes, so they are the ones that give way: the one that has
//! waited longest first. Whoever sends a request and reads the answer is never among the oldest.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// How many there may be at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub connections: usize,
    /// Connections of one address, or of one IPv6 network of 64 bits. Loopback has no such limit: there a proxy speaks for all.
    pub per_address: usize,
    /// Requests in hand that have no reserved place, see [`crate::web::has_reserved_place`].
    pub unreserved: usize,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// All connections of this address are being answered.
    OfAddress,
    /// All connections are being answered: one of them will be free soon.
    Full,
}

/// All open connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    room: Room,
    open: Mutex<Open>,
    /// Numbers what happens, so that the longest wait is known without a clock.
    steps: AtomicU64,
    changed: Notify,
}

#[derive(Default)]
struct Open {
    connections: HashMap<u64, Arc<Connection>>,
    unreserved: usize,
}

pub(super) struct Connection {
    id: u64,
    /// `None` for loopback.
    address: Option<IpAddr>,
    waiting: Mutex<Waiting>,
    evicted: Notify,
    shared: Arc<Shared>,
}

/// Since which step a connection has been waiting for its client.
#[derive(Default)]
struct Waiting {
    /// For the head of a request, or for the rest of its body.
    for_request: Option<u64>,
    /// For the client to take what is sent.
    for_reading: Option<u64>,
    /// Its request is among the unreserved ones.
    is_unreserved: bool,
}

/// An open connection's place, free again when this is dropped.
pub(super) struct Place(Arc<Connection>);

/// A request in hand, until its answer has been handed over.
pub(super) struct Turn {
    connection: Arc<Connection>,
    is_unreserved: bool,
}

impl Connections {
    pub fn new(room: Room) -> Self {
        Self(Arc::new(Shared { room, open: Mutex::default(), steps: AtomicU64::new(0), changed: Notify::new() }))
    }

    /// A place for one more connection. Where there is none, another one that waits for its client is closed.
    pub fn admit(&self, peer: IpAddr) -> Result<(Place, bool), NoRoom> {
        let address = counted_address(peer);
        let mut open = self.0.open();
        let is_same = |connection: &Connection| address.is_some() && connection.address == address;
        let of_address = open.connections.values().filter(|connection| is_same(connection)).count();
        let evicted = if of_address >= self.0.room.per_address {
            open.evict(is_same).then_some(true).ok_or(NoRoom::OfAddress)?
        } else if open.connections.len() >= self.0.room.connections {
            open.evict(|_| true).then_some(true).ok_or(NoRoom::Full)?
        } else {
            false
        };
        let id = self.0.step();
        let waiting = Mutex::new(Waiting { for_request: Some(id), ..Waiting::default() });
        let connection = Connection { id, address, waiting, evicted: Notify::new(), shared: self.0.clone() };
        let connection = Arc::new(connection);
        open.connections.insert(id, connection.clone());
        Ok((Place(connection), evicted))
    }

    /// Returns when it may be worth asking [`Self::admit`] again.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self) -> u64 {
        self.steps.fetch_add(1, Ordering::Relaxed)
    }
}

impl Open {
    /// Closes the one of these connections that has waited longest for its client. A proxy of ours goes last. False: none waits.
    fn evict(&mut self, may_go: impl Fn(&Connection) -> bool) -> bool {
        let candidates = self.connections.values().filter(|connection| may_go(connection));
        let waiting = candidates.filter_map(|connection| {
            let since = connection.waiting().since()?;
            Some((connection.address.is_none(), since, connection.id))
        });
        let Some((.., id)) = waiting.min() else { return false };
        if let Some(connection) = self.connections.remove(&id) {
            connection.evicted.notify_one();
        }
        true
    }
}

impl Waiting {
    fn since(&self) -> Option<u64> {
        self.for_reading.or(self.for_request)
    }
}

impl Connection {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request in hand. `None`: there are too many, and none of them waits for its client.
    pub fn begin_request(self: &Arc<Self>, is_unreserved: bool) -> Option<Turn> {
        if is_unreserved {
            let mut open = self.shared.open();
            let is_full = open.unreserved >= self.shared.room.unreserved;
            if is_full && !open.evict(|connection| connection.waiting().is_unreserved) {
                return None;
            }
            open.unreserved += 1;
        }
        *self.waiting() = Waiting { is_unreserved, ..Waiting::default() };
        Some(Turn { connection: self.clone(), is_unreserved })
    }

    /// The rest of the body has not come. `since`: the step at which the wait for this body began; it is what is returned, so
    /// that a body which trickles is no younger than one that does not come at all.
    pub fn waits_for_body(&self, since: Option<u64>) -> u64 {
        let since = since.unwrap_or_else(|| self.shared.step());
        self.waiting().for_request = Some(since);
        self.shared.changed.notify_one();
        since
    }

    pub fn has_body(&self) {
        self.waiting().for_request = None;
    }

    pub fn waits_for_reading(&self) {
        self.waiting().for_reading = Some(self.shared.step());
        self.shared.changed.notify_one();
    }

    pub fn has_read(&self) {
        self.waiting().for_reading = None;
    }
}

impl Place {
    pub fn connection(&self) -> &Arc<Connection> {
        &self.0
    }

    /// Returns when the connection has to give way to another one.
    pub async fn evicted(&self) {
        self.0.evicted.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.shared.open().connections.remove(&self.0.id);
        self.0.shared.changed.notify_one();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let shared = &self.connection.shared;
        if self.is_unreserved {
            shared.open().unreserved -= 1;
        }
        let mut waiting = self.connection.waiting();
        waiting.for_request = Some(shared.step());
        waiting.is_unreserved = false;
        shared.changed.notify_one();
    }
}

/// As which address a peer is counted: a household has a whole IPv6 network. `None`: not at all.
fn counted_address(peer: IpAddr) -> Option<IpAddr> {
    match peer.to_canonical() {
        peer if peer.is_loopback() => None,
        IpAddr::V6(peer) => Some(Ipv6Addr::from_bits(peer.to_bits() >> 64 << 64).into()),
        peer => Some(peer),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn connections(per_address: usize) -> Connections {
        Connections::new(Room { connections: 6, per_address, unreserved: 2 })
    }

    fn admit(connections: &Connections, peer: &str) -> Result<Place, NoRoom> {
        connections.admit(peer.parse().unwrap()).map(|(place, _)| place)
    }

    fn is_evicted(place: &Place) -> bool {
        place.evicted().now_or_never().is_some()
    }

    /// Threat: one household or one attacker takes all connections.
    #[test]
    fn an_address_over_its_limit_loses_its_own_oldest() {
        for one_host in [["203.0.113.1"; 3], ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"]] {
            let connections = connections(2);
            let neighbour = admit(&connections, "203.0.113.9").unwrap();
            let [first, second, third] = one_host.map(|peer| admit(&connections, peer).unwrap());
            assert!(is_evicted(&first), "{one_host:?}");
            assert!(![&second, &third, &neighbour].into_iter().any(is_evicted), "{one_host:?}");
        }
    }

    /// Threat: the limit of an address as a weapon against a proxy that speaks for all.
    #[test]
    fn a_proxy_on_this_machine_is_not_limited_as_one_address() {
        for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let connections = connections(2);
            let places = [peer; 6].map(|peer| admit(&connections, peer).unwrap());
            assert!(!places.iter().any(is_evicted), "{peer}");
            let stranger = admit(&connections, "203.0.113.1").unwrap();
            assert!(is_evicted(&places[0]) && !is_evicted(&stranger), "{peer}");
            let _proxy = admit(&connections, peer).unwrap();
            assert!(is_evicted(&stranger) && !places[1..].iter().any(is_evicted), "strangers go before the proxy");
        }
    }

    /// Threat: slow clients outlast the honest ones.
    #[test]
    fn who_waits_longest_for_its_client_gives_way() {
        let connections = connections(6);
        let places = ["203.0.113.1"; 6].map(|peer| admit(&connections, peer).unwrap());
        let turns: Vec<Turn> =
            places[..5].iter().map(|place| place.connection().begin_request(false).unwrap()).collect();
        places[2].connection().waits_for_reading();
        let trickling = places[1].connection().waits_for_body(None);
        places[1].connection().has_body();
        places[1].connection().waits_for_body(Some(trickling));
        let mut gone = Vec::new();
        let mut later = Vec::new();
        for _ in 0..3 {
            later.push(admit(&connections, "203.0.113.2").unwrap());
            later.last().unwrap().connection().begin_request(false).map(std::mem::forget).unwrap();
            gone.extend((0..6).filter(|at| is_evicted(&places[*at])));
        }
        assert_eq!(gone, [5, 2, 1], "no head yet, then the answer not taken, then the body that trickles");
        assert_eq!(admit(&connections, "203.0.113.3").err(), Some(NoRoom::Full), "all others are being answered");
        drop(turns);
        assert!(admit(&connections, "203.0.113.3").is_ok());
    }

    /// Threat: requests for pages take the places of webhooks.
    #[test]
    fn unreserved_requests_are_limited_and_slow_ones_give_way() {
        let connections = connections(6);
        let places = ["203.0.113.1"; 4].map(|peer| admit(&connections, peer).unwrap());
        let first = places[0].connection().begin_request(true);
        let _second = places[1].connection().begin_request(true).unwrap();
        assert!(places[2].connection().begin_request(true).is_none());
        assert!(places[2].connection().begin_request(false).is_some(), "a webhook has its place");
        places[0].connection().waits_for_body(None);
        let _third = places[2].connection().begin_request(true).expect("the slow body gives way");
        assert!(is_evicted(&places[0]));
        drop(first);
        assert!(places[3].connection().begin_request(true).is_none(), "two are in hand still");
    }
}
