//! A process that is measured: the service itself or a yardstick, started in a folder of its own, killed at the end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::{AnyConnection, Connection};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::forms::{ACCOUNT, PUBLIC_URL, TOKEN};
use crate::load::read_answer;

#[derive(Clone)]
pub enum Contestant {
    /// Verifies, parses, answers.
    WithoutStoring,
    /// And appends the bytes to a file with shared flushes before it answers.
    Log,
    /// A binary of the service.
    Service { name: String, binary: PathBuf },
}

impl Contestant {
    pub fn name(&self) -> &str {
        match self {
            Self::WithoutStoring => "without storing",
            Self::Log => "bare log",
            Self::Service { name, .. } => name,
        }
    }

    /// Starts it in a new folder below `folder` and waits for its first answer.
    pub async fn start(&self, folder: &Path) -> anyhow::Result<Running> {
        let folder = tempfile::Builder::new().prefix("ingest-").tempdir_in(folder)?;
        let address = free_address()?;
        std::fs::write(folder.path().join("perezvon.toml"), configuration(address, folder.path()))?;
        let child = self.spawn(address, folder.path())?;
        let mut running = Running { child, address, folder, contestant: self.clone() };
        running.wait_for_an_answer().await?;
        Ok(running)
    }

    fn spawn(&self, address: SocketAddr, folder: &Path) -> anyhow::Result<Child> {
        let config = folder.join("perezvon.toml");
        let mut command = match self {
            Self::Service { binary, .. } => {
                let mut command = Command::new(binary);
                command.arg("--config").arg(&config).arg("serve");
                command
            }
            Self::WithoutStoring | Self::Log => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("--yardstick").arg(address.to_string()).arg(&config);
                if matches!(self, Self::Log) {
                    command.arg(folder.join("log"));
                }
                command
            }
        };
        command.stdout(Stdio::null()).stderr(std::fs::File::create(folder.join("stderr"))?);
        command.spawn().with_context(|| format!("{} does not start", self.name()))
    }
}

pub struct Running {
    child: Child,
    pub address: SocketAddr,
    folder: tempfile::TempDir,
    contestant: Contestant,
}

impl Running {
    /// Kills it, starts it anew on the same files, and tells how long its first answer took.
    pub async fn restart(&mut self) -> anyhow::Result<Duration> {
        self.kill()?;
        let started = Instant::now();
        self.child = self.contestant.spawn(self.address, self.folder.path())?;
        self.wait_for_an_answer().await?;
        Ok(started.elapsed())
    }

    async fn wait_for_an_answer(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.get("/healthz").await.is_err() {
            let log = || std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
            anyhow::ensure!(self.child.try_wait()?.is_none(), "{} ended: {}", self.contestant.name(), log());
            anyhow::ensure!(started.elapsed() < Duration::from_secs(10), "{} does not answer", self.contestant.name());
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Ok(())
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        read_answer(&mut stream, &mut answer).await?;
        Ok(String::from_utf8(answer)?)
    }

    /// Commits so far, and what they carried.
    pub async fn commits(&self) -> anyhow::Result<(f64, f64)> {
        let metrics = self.get("/metrics").await?;
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse().ok()).unwrap_or(0.0)
        };
        Ok((value("perezvon_commit_batch_size_count"), value("perezvon_commit_batch_size_sum")))
    }

    /// A line of the process's status, in MiB: `VmRSS`, `VmHWM`.
    pub fn memory(&self, what: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
        let kib: f64 = line.and_then(|rest| rest.split_whitespace().next()).context("no such line")?.parse()?;
        Ok(kib / 1024.0)
    }

    pub fn is_service(&self) -> bool {
        matches!(self.contestant, Contestant::Service { .. })
    }

    /// Another connection to the service's database, as a proof that does not pass through the service.
    pub async fn database(&self) -> anyhow::Result<AnyConnection> {
        sqlx::any::install_default_drivers();
        Ok(AnyConnection::connect(&format!("sqlite:{}", self.folder.path().join("perezvon.db").display())).await?)
    }

    pub fn wal_bytes(&self) -> anyhow::Result<u64> {
        Ok(std::fs::metadata(self.folder.path().join("perezvon.db-wal"))?.len())
    }

    /// Kills it without a warning and counts the deliveries that are found afterwards.
    pub async fn kill_and_count(mut self) -> anyhow::Result<usize> {
        self.kill()?;
        let mut database = self.database().await?;
        let found: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM delivery").fetch_one(&mut database).await?;
        database.close().await?;
        Ok(usize::try_from(found)?)
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}

/// An address nobody listens at. Somebody may take it before the contestant does; then the run ends with an error.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn configuration(address: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"
[server]
listen = "{address}"
public_url = "{PUBLIC_URL}"
[storage]
database = "sqlite:{folder}/perezvon.db"
recordings = "{folder}/recordings"
[[providers]]
name = "twilio"
kind = "twiml"
signature = "twilio"
account_sid = "{ACCOUNT}"
auth_tokens = ["{TOKEN}"]
# Nobody is there: no run is long enough to ask.
api_base = "http://127.0.0.1:9"
"#
    )
}
