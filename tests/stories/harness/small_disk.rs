//! A small file system in memory, which only the programs started on it see.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Program, not_tried};

/// Dropped, it is gone.
pub struct SmallDisk {
    /// A process that does nothing but hold the mount.
    holder: Child,
    folder: PathBuf,
    needs_user_namespace: bool,
}

impl SmallDisk {
    /// Mounts one on `folder`, with these options of `mount`. `None` where this user may not, which `tests/run` tells.
    pub fn mount(folder: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        for needs_user_namespace in [false, true] {
            let mut unshare = Command::new("unshare");
            if needs_user_namespace {
                unshare.args(["--user", "--map-root-user"]);
            }
            let script =
                r#"mount -t tmpfs -o "$1" none "$2"; echo mounted; exec setpriv --pdeathsig KILL -- sleep infinity"#;
            unshare.args(["--mount", "--", "bash", "-euc", script, "bash", options]).arg(folder);
            let holder = unshare.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
            let mut holder = holder.expect("unshare is there");
            let mut said = String::new();
            BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
            if said == "mounted\n" {
                return Some(Self { holder, folder: folder.to_owned(), needs_user_namespace });
            }
            holder.wait().unwrap();
        }
        not_tried(
            "полный диск и диск только для чтения: смонтировать их могут только root или пользователь с user namespaces",
        );
        None
    }

    /// A program to be run where the file system is seen.
    fn inside(&self) -> Command {
        let mut nsenter = Command::new("nsenter");
        nsenter.arg("--target").arg(self.holder.id().to_string()).arg("--mount");
        if self.needs_user_namespace {
            nsenter.args(["--user", "--preserve-credentials"]);
        }
        nsenter.arg("--");
        nsenter
    }

    pub fn start(&self, config: &Path) -> Program {
        Program::start_by(self.inside(), config)
    }

    /// Runs a command of the program to its end. The answer is whether it succeeded, and what it printed.
    pub fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.inside().arg(env!("CARGO_BIN_EXE_perezvon")).args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    pub fn remount(&self, options: &str) {
        let done = self.inside().args(["mount", "-o", &format!("remount,{options}")]).arg(&self.folder).status();
        assert!(done.unwrap().success(), "{options}");
    }

    /// Where everybody sees what lies on it.
    pub fn path(&self, name: &str) -> PathBuf {
        let inside = self.folder.strip_prefix("/").expect("the folder is named from the root");
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside).join(name)
    }

    /// Leaves no byte free.
    pub fn fill(&self) {
        let mut filler = File::create(self.path("filler")).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while filler.write_all(&vec![0xA5; size]).is_ok() {}
        }
    }

    pub fn make_room(&self) {
        fs::remove_file(self.path("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
