//! One PostgreSQL server for the whole test process, started by the first story that asks for it and gone with the
//! process, however that ends.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

const INSTALLED_UNDER: &str = "/usr/lib/postgresql";
const HOW_TO_INSTALL: &str = "PostgreSQL is not installed, and half of the stories are told on it: \
                              apt-get install --no-install-recommends postgresql (tests/run does it)";

/// Keeps the server until the pipe from us is closed, which the system does even when we are killed; then ends the
/// server at once and removes its folder. No TCP, no durability: the folder is thrown away.
const KEEPER: &str = r#"
set -u
bin=$1 folder=$2 user=$3
trap '' INT TERM HUP
as() { if [ -n "$user" ]; then setpriv --reuid="$user" --regid="$user" --init-groups -- "$@"; else "$@"; fi; }
cd "$folder"
[ -z "$user" ] || chown "$user" "$folder"
if ! as "$bin/initdb" -D "$folder/data" -U stories -A trust -E UTF8 --locale=C.UTF-8 -N >"$folder/log" 2>&1; then
    cat "$folder/log"; rm -rf "$folder"; exit 1
fi
as "$bin/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c max_connections=300 -c shared_buffers=64MB -c autovacuum=off -c max_wal_senders=0 -c wal_level=minimal \
    >"$folder/log" 2>&1 </dev/null &
for _ in $(seq 600); do
    [ -S "$folder/.s.PGSQL.5432" ] && as "$bin/pg_isready" -q -h "$folder" && break
    kill -0 $! 2>/dev/null || { cat "$folder/log"; rm -rf "$folder"; exit 1; }
    sleep 0.05
done
echo ready
cat >/dev/null
# The server itself and not the shell before it, which would not hear a QUIT.
kill -QUIT "$(head -n 1 "$folder/data/postmaster.pid")" 2>/dev/null
wait
rm -rf "$folder"
"#;

struct Server {
    folder: PathBuf,
    /// Closed by the end of this process.
    _pipe: Mutex<(ChildStdin, Child)>,
}

/// The address of a new, empty database.
pub async fn database() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let server = SERVER.get_or_init(start);
    let name = format!("story_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    run(&server.address("postgres"), &format!("CREATE DATABASE {name}")).await;
    server.address(&name)
}

/// Removes a database with whatever is still connected to it.
pub async fn drop_database(address: &str) {
    let (server, name) = parts(address);
    run(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

/// Takes the database away from everybody, or gives it back: nobody gets a connection meanwhile, and those that are open
/// break.
pub async fn set_reachable(address: &str, is_reachable: bool) {
    let (server, name) = parts(address);
    run(&server, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {is_reachable}")).await;
    if !is_reachable {
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        run(&server, &end).await;
    }
}

/// The address of the server's own database, and the name of the one meant.
fn parts(address: &str) -> (String, &str) {
    let (base, query) = address.split_once('?').expect("addresses of stories name their socket");
    let (server, name) = base.rsplit_once('/').expect("and their database");
    (format!("{server}/postgres?{query}"), name)
}

async fn run(address: &str, sql: &str) {
    let mut connection = PgConnection::connect(address).await.expect("the server is up");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.expect("an idle connection closes");
}

impl Server {
    fn address(&self, name: &str) -> String {
        format!("postgres://stories@localhost/{name}?host={}", self.folder.display())
    }
}

fn start() -> Server {
    let bin = newest().expect(HOW_TO_INSTALL);
    // A socket's path may have 107 bytes, so the folder stands right below the place for temporary things.
    let folder = tempfile::Builder::new().prefix("perezvon-pg-").tempdir().expect("a temporary folder").keep();
    let user = if is_root() { "postgres" } else { "" };
    let mut keeper = Command::new("bash")
        .args(["-c", KEEPER, "keeper"])
        .arg(&bin)
        .arg(&folder)
        .arg(user)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // Of its own group, so that Ctrl+C reaches us alone.
        .process_group(0)
        .spawn()
        .expect("bash is there");
    let mut told = String::new();
    let mut lines = BufReader::new(keeper.stdout.take().expect("piped above"));
    while lines.read_line(&mut told).expect("the keeper speaks UTF-8") > 0 && !told.ends_with("ready\n") {}
    assert!(told.ends_with("ready\n"), "PostgreSQL did not start:\n{told}");
    let pipe = keeper.stdin.take().expect("piped above");
    Server { folder, _pipe: Mutex::new((pipe, keeper)) }
}

/// The programs of the newest installed version.
fn newest() -> Option<PathBuf> {
    let versions = std::fs::read_dir(INSTALLED_UNDER).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.filter(|path| path.join("bin/initdb").exists()).max_by_key(|path| number(path))?;
    Some(newest.join("bin"))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
