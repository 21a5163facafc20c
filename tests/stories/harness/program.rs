//! The real program, `perezvon serve`, on a port of its own choice.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

/// A running program. Dropped, it is killed.
pub struct Program {
    pub child: Child,
    pub address: SocketAddr,
    /// Reads its log, or the program would wait for somebody who does.
    log: Option<JoinHandle<String>>,
}

impl Program {
    /// Returns when it listens.
    pub fn start(config: &Path) -> Self {
        Self::start_by(Command::new("env"), config)
    }

    /// The same by way of another program, which gets the command line of this one as its last arguments.
    pub fn start_by(mut way: Command, config: &Path) -> Self {
        // Should we be killed ourselves, the program goes with us.
        let mut child = way
            .args(["setpriv", "--pdeathsig", "KILL", "--", env!("CARGO_BIN_EXE_perezvon"), "serve", "--config"])
            .arg(config)
            .env("PEREZVON_LOG", "perezvon=info")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "the program ended at its start:\n{told}");
            if let Some((_, rest)) = line.split_once("Listening at http://") {
                let address: String = rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
                break address.parse().expect("an address");
            }
            told.push_str(&line);
        };
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            for line in log.lines().map_while(Result::ok) {
                text += &line;
                text.push('\n');
            }
            text
        });
        Self { child, address, log: Some(log) }
    }

    /// Asks it to end. The answer is its exit status and what it logged since it listened.
    pub fn end(mut self) -> (Option<i32>, String) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        (status.code(), self.log.take().unwrap().join().unwrap())
    }

    /// Without warning.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
