//! Webhooks while strangers hold on to the socket: each attack comes back as soon as it is cut off, and asks over loopback, where
//! no address has a limit of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::contestant::Contestant;
use crate::forms;
use crate::load::read_answer;

/// Genuine webhooks under each attack, one after another, each over a connection of its own.
const WEBHOOKS: usize = 50;
/// Without an answer for so long a webhook counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);
/// So often an attacker says something more.
const DRIP: Duration = Duration::from_millis(200);
/// Files that may be open: ten thousand connections, and the rest.
const FILES: u64 = 12_000;

#[derive(Clone, Copy)]
struct Attack {
    name: &'static str,
    connections: usize,
    /// Said at the beginning.
    first: &'static str,
    /// Said again and again. Nothing: whoever attacks waits.
    then: &'static str,
}

const ATTACKS: [Attack; 4] = [
    Attack { name: "nobody", connections: 0, first: "", then: "" },
    Attack {
        name: "pipelining, never reading",
        connections: 1_030,
        first: "",
        then: "GET /poster HTTP/1.1\r\nHost: a\r\n\r\nGET /poster HTTP/1.1\r\nHost: a\r\n\r\n",
    },
    Attack {
        name: "slow bodies",
        connections: 1_100,
        first: "POST /webhooks/twilio/voice HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n",
        then: "x",
    },
    Attack { name: "idle", connections: 10_000, first: "", then: "" },
];

/// Of a binary of the service; nothing of a yardstick.
pub async fn print_of(contestant: &Contestant, folder: &Path) -> anyhow::Result<()> {
    let Contestant::Service { name, .. } = contestant else { return Ok(()) };
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES, |most| most.min(FILES));
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit })?;
    println!("\n{name}, {WEBHOOKS} webhooks while strangers hold connections");
    let mut first_call = 5_000_000;
    for attack in ATTACKS {
        let running = contestant.start(folder).await?;
        let most = usize::try_from(wanted)?.saturating_sub(500);
        let connections = attack.connections.min(most);
        let mut attackers = JoinSet::new();
        for _ in 0..connections {
            attackers.spawn(attack.run(running.address));
        }
        // All have had their turn to connect.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (median, slowest) = webhooks(running.address, first_call).await.context(attack.name)?;
        first_call += WEBHOOKS;
        println!(
            "  {:<26} {connections:>6} connections {:>8.1} ms median, {:>8.1} ms the slowest",
            attack.name,
            median.as_secs_f64() * 1000.0,
            slowest.as_secs_f64() * 1000.0
        );
        attackers.shutdown().await;
    }
    Ok(())
}

impl Attack {
    async fn run(self, address: SocketAddr) {
        loop {
            // Whoever is refused or cut off comes again.
            let _ = self.hold(address).await;
            tokio::time::sleep(DRIP).await;
        }
    }

    async fn hold(self, address: SocketAddr) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(self.first.as_bytes()).await?;
        if self.then.is_empty() {
            stream.read_u8().await?;
            return Ok(());
        }
        loop {
            // What is full takes nothing, and the connection stays.
            let _ = tokio::time::timeout(DRIP, stream.writable()).await;
            match stream.try_write(self.then.as_bytes()) {
                Err(failed) if failed.kind() != std::io::ErrorKind::WouldBlock => return Err(failed),
                _ => tokio::time::sleep(DRIP).await,
            }
        }
    }
}

/// How long the answers to genuine webhooks take: the middle one and the slowest.
async fn webhooks(address: SocketAddr, first_call: usize) -> anyhow::Result<(Duration, Duration)> {
    let mut times = Vec::new();
    for request in forms::requests(first_call, WEBHOOKS) {
        let sent = Instant::now();
        let asking = async {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(&request).await?;
            let mut answer = Vec::new();
            read_answer(&mut stream, &mut answer).await?;
            anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
            Ok(())
        };
        tokio::time::timeout(PATIENCE, asking).await.context("a webhook was not answered")??;
        times.push(sent.elapsed());
    }
    times.sort_unstable();
    Ok((times[times.len() / 2], times[times.len() - 1]))
}
