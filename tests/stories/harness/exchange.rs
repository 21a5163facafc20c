//! A telephone exchange of a story's own: the real Asterisk from `target/asterisk` (tests/asterisk/install), on the
//! loopback, in a folder of its own, with the dialplan that `perezvon pbx config --into` writes. It goes with the story,
//! however that ends.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::call::{Call, patiently};
use super::telephone::Telephone;

const HOW_TO_INSTALL: &str = "there is no Asterisk in target/asterisk, and these stories make real calls: \
                              tests/asterisk/install puts it there (tests/run does it)";
/// Its own ports lie below those that the system gives out by itself, or somebody else might get them meanwhile.
const PORTS: std::ops::Range<u16> = 30_000..32_700;
pub const ARI_USER: &str = "perezvon";
pub const ARI_PASSWORD: &str = "password-of-the-exchange";

pub struct Exchange {
    folder: tempfile::TempDir,
    pub sip_port: u16,
    pub http_port: u16,
    /// The telephone company, where the exchange calls out.
    pub trunk: Telephone,
    /// The officers' telephones.
    pub phone_101: Telephone,
    pub phone_102: Telephone,
    globals: Vec<(String, String)>,
    process: Mutex<Option<Child>>,
}

impl Exchange {
    /// All but started: what the service has to know of it is known.
    pub async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("perezvon-pbx-").tempdir().expect("a temporary folder");
        for name in ["etc", "lib/keys", "spool/recording", "spool/outgoing", "cache", "data/sounds"] {
            std::fs::create_dir_all(folder.path().join(name)).expect("the folder is ours");
        }
        let shared = installed().join("usr/share/asterisk");
        for (from, to) in [("documentation", "documentation"), ("sounds/ru_RU_f_IvrvoiceRU", "sounds/ru")] {
            std::os::unix::fs::symlink(shared.join(from), folder.path().join("data").join(to)).expect("it is empty");
        }
        Self {
            folder,
            sip_port: free_port(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok()),
            http_port: free_port(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()),
            trunk: Telephone::new().await,
            phone_101: Telephone::new().await,
            phone_102: Telephone::new().await,
            // A story need not wait as long as a person would like.
            globals: [("PZ_RETRY", "1"), ("PZ_SILENCE", "2")].map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec(),
            process: Mutex::default(),
        }
    }

    /// Where its configuration lies, and the files of `perezvon pbx config --into` belong.
    pub fn etc(&self) -> PathBuf {
        self.folder.path().join("etc")
    }

    pub fn ari_base(&self) -> String {
        format!("http://127.0.0.1:{}/ari", self.http_port)
    }

    /// Starts it, also after [`Exchange::kill`]. The process goes with the thread that asks for it.
    pub async fn start(&self) {
        self.render();
        let log = std::fs::File::create(self.folder.path().join("console")).expect("the folder is ours");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(self.program())
            // `-p`: root's exchange goes before all else of a busy machine, or its sound has holes.
            .args(["-f", "-n", "-p"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            // Of its own group, which ends with it.
            .process_group(0)
            .spawn()
            .expect("setpriv is there");
        *self.process.lock().unwrap() = Some(child);
        patiently("Asterisk to be up", async {
            while !self.try_cli("core waitfullybooted").is_some_and(|told| told.contains("fully booted")) {
                let ended =
                    self.process.lock().unwrap().as_mut().is_some_and(|it| matches!(it.try_wait(), Ok(Some(_))));
                assert!(!ended, "Asterisk ended at its start:\n{}", self.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// A variable of the dialplan, from now on and after the next start.
    pub fn set_global(&mut self, name: &str, value: &str) {
        self.globals.retain(|(known, _)| known != name);
        self.globals.push((name.to_owned(), value.to_owned()));
        if self.process.lock().unwrap().is_some() {
            self.cli(&format!("dialplan set global {name} {value}"));
        }
    }

    /// Asks what an administrator would ask at its console.
    pub fn cli(&self, command: &str) -> String {
        self.try_cli(command).unwrap_or_else(|| panic!("Asterisk does not answer to {command}:\n{}", self.log()))
    }

    fn try_cli(&self, command: &str) -> Option<String> {
        let mut program = self.program().into_iter();
        let told = Command::new(program.next()?).args(program).arg("-rx").arg(command).output().ok()?;
        told.status.success().then(|| String::from_utf8_lossy(&told.stdout).into_owned())
    }

    /// Ends it without warning, in the middle of whatever it does.
    pub fn kill(&self) {
        let Some(mut child) = self.process.lock().unwrap().take() else { return };
        // With whatever programs it has started.
        let group = format!("kill -KILL -- -{}", child.id());
        let _ = Command::new("bash").args(["-c", &group]).stderr(Stdio::null()).status();
        let _ = child.wait();
        let _ = std::fs::remove_file(self.folder.path().join("asterisk.ctl"));
    }

    /// A caller dials `to`. `from` is the number he shows, `None` if he withholds it.
    pub async fn dial(&self, from: Option<&str>, to: &str) -> Call {
        match from {
            Some(number) => self.dial_as(&format!("<sip:{number}@127.0.0.1>"), to, "").await,
            None => self.dial_as("\"Anonymous\" <sip:anonymous@anonymous.invalid>", to, "Privacy: id\r\n").await,
        }
    }

    /// The same with the header `From` as it stands, and more headers.
    pub async fn dial_as(&self, from: &str, to: &str, more: &str) -> Call {
        Telephone::new().await.dial(self.sip_port, from, to, more).await
    }

    /// What it keeps of calls that go on or are still to be told.
    pub fn has_something_to_tell(&self) -> bool {
        !self.spool("outgoing").is_empty() || self.recorded_bytes() > 0
    }

    /// The sound it is recording, or could not yet hand over: bytes on the disk.
    pub fn recorded_bytes(&self) -> u64 {
        let messages = self.spool("recording").into_iter().filter(|path| path.to_string_lossy().contains("/pzv-"));
        messages.filter_map(|path| Some(path.metadata().ok()?.len())).sum()
    }

    /// Returns when so much of a message lies on the disk.
    pub async fn has_recorded(&self, bytes: u64) {
        patiently("sound on the disk", async {
            while self.recorded_bytes() < bytes {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Returns when the end of a call was not taken so many times.
    pub async fn tries_in_vain(&self, times: usize) {
        patiently("attempts to tell the end of a call", async {
            while self.log().matches("Перезвон не принял конец звонка").count() < times {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    fn spool(&self, folder: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.folder.path().join("spool").join(folder)).expect("the spool is there");
        files.map(|file| file.expect("it can be read").path()).collect()
    }

    /// Errors of the system stand in it in the encoding of the machine, whatever that is.
    pub fn log(&self) -> String {
        ["console", "log"]
            .map(|name| std::fs::read(self.folder.path().join(name)).unwrap_or_default())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat()
    }

    fn render(&self) {
        let lib = lib();
        let modules = lib.join("asterisk/modules");
        let globals: String = self.globals.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        let places = [
            ("@RUN@", self.folder.path().display().to_string()),
            ("@MODULES@", modules.display().to_string()),
            ("@SIP_PORT@", self.sip_port.to_string()),
            ("@HTTP_PORT@", self.http_port.to_string()),
            ("@TRUNK_PORT@", self.trunk.port.to_string()),
            ("@PORT_101@", self.phone_101.port.to_string()),
            ("@PORT_102@", self.phone_102.port.to_string()),
            ("@ARI_PASSWORD@", ARI_PASSWORD.to_owned()),
            ("@GLOBALS@", globals),
        ];
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asterisk/conf");
        for template in std::fs::read_dir(templates).expect("it is in the project") {
            let path = template.expect("it can be read").path();
            let text = std::fs::read_to_string(&path).expect("it is text");
            let text = places.iter().fold(text, |text, (place, value)| text.replace(place, value));
            std::fs::write(self.etc().join(path.file_name().expect("a file")), text).expect("the folder is ours");
        }
    }

    /// The program by its own loader and libraries, whatever the machine has.
    fn program(&self) -> [PathBuf; 6] {
        let lib = lib();
        let is_loader =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"));
        let mut files = std::fs::read_dir(&lib).expect(HOW_TO_INSTALL).filter_map(Result::ok).map(|file| file.path());
        let loader = files.find(is_loader).expect("the C library brings its loader");
        let options = [loader, "--library-path".into(), lib, installed().join("usr/sbin/asterisk")];
        let [a, b, c, d] = options;
        [a, b, c, d, "-C".into(), self.etc().join("asterisk.conf")]
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- the exchange ---\n{}", self.log());
        }
        self.kill();
    }
}

/// The folder of the unpacked exchange.
pub fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/asterisk");
    assert!(folder.join("usr/sbin/asterisk").exists(), "{HOW_TO_INSTALL}");
    folder
}

/// The folder of its libraries, named after the machine's kind.
fn lib() -> PathBuf {
    let folders = std::fs::read_dir(installed().join("usr/lib")).expect(HOW_TO_INSTALL).filter_map(Result::ok);
    let mut folders = folders.map(|folder| folder.path());
    folders.find(|folder| folder.join("libc.so.6").exists()).expect(HOW_TO_INSTALL)
}

fn free_port(is_free: impl Fn(u16) -> bool) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs of the tests at a time begin at different places.
    let begin = (std::process::id() % 27) as u16 * 100;
    let count = PORTS.end - PORTS.start;
    let ports = std::iter::repeat_with(|| PORTS.start + (begin + NEXT.fetch_add(1, Ordering::Relaxed) % count) % count);
    ports.take(count.into()).find(|port| is_free(*port)).expect("a port is free")
}
