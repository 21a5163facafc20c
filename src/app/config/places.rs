//! Where the service is and where it keeps things: `[server]`, `[storage]`, and the addresses in them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use url::{Host, Url};

use super::mistakes::{At, Notes, shown};
use super::section::Section;
use super::tree::Node;
use crate::jobs::backup::BackupSource;
use crate::recordings::KeyFile;
use crate::store::{SpoolFolders, sqlite_file};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub listen: SocketAddr,
    /// `https://calls.example.org`, without a slash at the end. Unset: `http://` and the listening address.
    pub public_url: String,
    /// Whether `/metrics` and `/readyz` answer whoever comes through a proxy.
    pub monitoring_through_proxy: bool,
}

/// Paths are relative to the folder the service is started in, not to the configuration file.
#[derive(Clone, PartialEq, Eq)]
pub struct Storage {
    /// `sqlite:perezvon.db`, `postgres://…`: may hold a password, so it is not printed as it is.
    pub database: String,
    pub recordings: PathBuf,
    /// The second folder of the spool. Unset: see [`Storage::emergency_folder`].
    pub emergency: Option<PathBuf>,
    /// What messages and backups are encrypted to. Unset: they are not.
    pub key_file: Option<PathBuf>,
}

impl Storage {
    /// Where deliveries are spooled when the folder of recordings cannot be written: the same after a restart, and another
    /// for another service on this machine. By default below `/var/tmp`, which outlives a restart of the machine; the
    /// system's temporary folder is often in memory.
    pub fn emergency_folder(&self) -> PathBuf {
        let of_this_service = || {
            let recordings = std::path::absolute(&self.recordings).unwrap_or_else(|_| self.recordings.clone());
            let digest = Sha256::digest(recordings.as_os_str().as_encoded_bytes());
            let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            let lasting = Path::new("/var/tmp");
            let folder = if lasting.is_dir() { lasting.to_owned() } else { std::env::temp_dir() };
            folder.join(format!("perezvon-spool-{name}"))
        };
        self.emergency.clone().unwrap_or_else(of_this_service)
    }

    /// Where deliveries wait for the database.
    pub fn spool_folders(&self) -> SpoolFolders {
        SpoolFolders::new(&self.recordings, &self.emergency_folder())
    }

    /// What a backup of this service holds.
    pub fn backup_source(&self) -> BackupSource {
        BackupSource {
            database: self.database.clone(),
            recordings: self.recordings.clone(),
            emergency: self.emergency_folder(),
            key: self.key(),
        }
    }

    /// The key file, not read yet.
    pub fn key(&self) -> Option<KeyFile> {
        self.key_file.as_deref().map(KeyFile::new)
    }

    /// The database's address for people: user and password left out.
    pub fn database_shown(&self) -> String {
        match Url::parse(&self.database) {
            Ok(url) if self.database.contains("://") && url.has_host() => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
            }
            _ => self.database.split('?').next().unwrap_or_default().to_owned(),
        }
    }

    /// Why a command that makes no database cannot work: the file is not there.
    pub fn missing_database(&self) -> Option<String> {
        let file = self.database_file().filter(|file| !file.exists())?;
        Some(format!("базы данных {} нет. Проверьте storage.database и текущую папку.", file.display()))
    }

    /// The file of an SQLite database; `None` for PostgreSQL and for a database in memory.
    pub fn database_file(&self) -> Option<PathBuf> {
        sqlite_file(&self.database)
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage")
            .field("database", &self.database_shown())
            .field("recordings", &self.recordings)
            .field("key_file", &self.key_file)
            .finish()
    }
}

pub(super) fn server(root: &Node, notes: &mut Notes) -> Option<Server> {
    let section = Section::of(root, "server")?;
    let listen = section.required("listen", "127.0.0.1:8080", notes).and_then(|text| {
        let listen = text.parse().ok();
        if listen.is_none() {
            let instead = "Напишите IP-адрес и порт: \"127.0.0.1:8080\", а для всех адресов машины \"0.0.0.0:8080\"";
            notes.add(&section.at("listen"), format!("{} не адрес с портом", shown(text)), instead);
        }
        listen
    });
    let public_url = match section.text("public_url") {
        Some(text) => base_url(text, &section.at("public_url"), "https://calls.example.org", notes)
            .and_then(|url| without_path(url, &section.at("public_url"), notes)),
        None => listen.map(own_address),
    };
    let monitoring_through_proxy = section.flag("monitoring_through_proxy").unwrap_or(false);
    Some(Server { listen: listen?, public_url: public_url?, monitoring_through_proxy })
}

/// The address under which this machine reaches itself.
fn own_address(listen: SocketAddr) -> String {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(match listen {
            SocketAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
            SocketAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        });
    }
    format!("http://{address}")
}

pub(super) fn storage(root: &Node, notes: &mut Notes) -> Option<Storage> {
    let section = Section::of(root, "storage")?;
    let database = section.required("database", "sqlite:perezvon.db", notes);
    if let Some(text) = database
        && let Some((what, instead)) = database_mistake(text)
    {
        notes.add(&section.at("database"), what, instead);
    }
    let recordings = section.required("recordings", "recordings", notes);
    match recordings {
        Some(text) if text.starts_with("s3:") => {
            let instead = "Пока только папка: напишите, например, recordings = \"recordings\"";
            notes.add(&section.at("recordings"), "хранилище S3 ещё не встроено", instead);
        }
        Some(text) if text.contains("://") => {
            let instead = "Напишите папку, например recordings = \"recordings\"";
            notes.add(&section.at("recordings"), format!("{} не папка", shown(text)), instead);
        }
        _ => {}
    }
    let emergency = match section.has("emergency") {
        true => Some(section.required("emergency", "/var/lib/perezvon-spool", notes)?.into()),
        false => None,
    };
    let key_file = match section.has("key_file") {
        true => Some(section.required("key_file", "/etc/perezvon/recordings.key", notes)?.into()),
        false => None,
    };
    Some(Storage { database: database?.to_owned(), recordings: recordings?.into(), emergency, key_file })
}

/// The address may hold a password: only its scheme is quoted.
fn database_mistake(text: &str) -> Option<(String, &'static str)> {
    let example = "Напишите \"sqlite:perezvon.db\" или \"postgres://пользователь:пароль@узел/база\"";
    match text.split_once(':') {
        Some(("sqlite", path)) => {
            let empty = path.trim_start_matches('/').split('?').next().is_none_or(str::is_empty);
            empty.then(|| ("у базы SQLite не назван файл".to_owned(), "Напишите, например, \"sqlite:perezvon.db\""))
        }
        Some(("postgres" | "postgresql", _)) => {
            // A server on a socket has no host in the address but a folder among its parameters.
            let on_a_socket = |url: &Url| url.query_pairs().any(|(name, _)| name == "host");
            let usable = Url::parse(text).is_ok_and(|url| url.has_host() || on_a_socket(&url));
            (!usable).then(|| ("адрес PostgreSQL не читается".to_owned(), example))
        }
        Some((scheme, _)) => Some((format!("неизвестный вид базы {}", shown(scheme)), example)),
        None => Some(("не сказано, какого вида база".to_owned(), example)),
    }
}

/// An `http(s)` address without user, query and fragment.
pub(super) fn base_url(text: &str, at: &At, example: &str, notes: &mut Notes) -> Option<Url> {
    let what = match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "адрес начинается не с https:// или http://",
        Ok(url) if !url.username().is_empty() || url.password().is_some() => "в адресе стоят имя или пароль",
        Ok(url) if url.query().is_some() || url.fragment().is_some() => "в адресе есть ? или #",
        Ok(url) => return Some(url),
        Err(_) => {
            notes.add(at, format!("{} не адрес", shown(text)), format!("Напишите, например, \"{example}\""));
            return None;
        }
    };
    notes.add(at, what, format!("Напишите, например, \"{example}\""));
    None
}

fn without_path(url: Url, at: &At, notes: &mut Notes) -> Option<String> {
    let origin = url.origin().ascii_serialization();
    if url.path() != "/" {
        let instead = format!("Напишите только узел, без пути: \"{origin}\"");
        notes.add(at, format!("в адресе есть путь {}", shown(url.path())), instead);
        return None;
    }
    Some(origin)
}

/// Whether the address leads to this very machine; only there is `http` enough.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
