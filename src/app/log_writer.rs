//! Where log lines go: through a bounded queue to a thread of its own that writes them. A log that cannot be written, or that
//! nobody reads any more, costs its lines and nothing else: no request waits for it, and none fails.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait to be written.
const MAX_WAITING: usize = 8192;
/// Interval of looking whether all is written when the process ends.
const FLUSH_INTERVAL: Duration = Duration::from_millis(2);

enum Command {
    Write(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Hands out writers that never fail and never wait. A clone shares the queue.
#[derive(Clone)]
pub struct LogWriter(SyncSender<Command>);

/// One line on its way.
pub struct Line {
    writer: LogWriter,
    bytes: Vec<u8>,
}

impl LogWriter {
    /// Writes to `output` from a thread of its own.
    pub fn new(output: impl Write + Send + 'static) -> Self {
        let (sender, commands) = sync_channel(MAX_WAITING);
        let started = thread::Builder::new().name("log".to_owned()).spawn(move || write_all(output, &commands));
        // Without a thread there is no log: each line counts as lost.
        let _ = started;
        Self(sender)
    }

    /// Waits until all lines so far are written, at most `limit`: for the end of the process.
    pub fn flush(&self, limit: Duration) {
        let (done, written) = sync_channel(1);
        let deadline = Instant::now() + limit;
        let mut command = Command::Flush(done);
        loop {
            match self.0.try_send(command) {
                Ok(()) => break,
                Err(TrySendError::Full(again)) if Instant::now() < deadline => {
                    command = again;
                    thread::sleep(FLUSH_INTERVAL);
                }
                Err(_) => return,
            }
        }
        let _ = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// The same output without its lock, so that one who waits for a reader keeps nobody else from it.
pub fn duplicate(output: impl AsFd) -> io::Result<File> {
    Ok(File::from(output.as_fd().try_clone_to_owned()?))
}

fn write_all(mut output: impl Write, commands: &Receiver<Command>) {
    for command in commands {
        match command {
            Command::Write(line) => {
                if output.write_all(&line).and_then(|()| output.flush()).is_err() {
                    count_lost();
                }
            }
            Command::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

fn count_lost() {
    metrics::counter!("perezvon_log_lines_lost_total").increment(1);
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { writer: self.clone(), bytes: Vec::new() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.bytes.is_empty() && self.writer.0.try_send(Command::Write(std::mem::take(&mut self.bytes))).is_err() {
            count_lost();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_whole_and_in_order() {
        let memory = Memory::default();
        let writer = LogWriter::new(memory.clone());
        for n in 0..100 {
            let mut line = writer.make_writer();
            write!(line, "line ").unwrap();
            writeln!(line, "{n}").unwrap();
        }
        writer.flush(LIMIT);
        let written = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        let expected: String = (0..100).map(|n| format!("line {n}\n")).collect();
        assert_eq!(written, expected);
    }

    #[test]
    fn full_disk_costs_lines_and_fails_nobody() {
        let writer = LogWriter::new(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        for _ in 0..3 {
            writeln!(writer.make_writer(), "lost").unwrap();
        }
        writer.flush(LIMIT);
    }

    #[test]
    fn output_that_nobody_reads_holds_up_nobody() {
        let (reader, pipe) = io::pipe().unwrap();
        let writer = LogWriter::new(pipe);
        let line = "x".repeat(1024);
        for _ in 0..MAX_WAITING + 1000 {
            writeln!(writer.make_writer(), "{line}").unwrap();
        }
        drop(reader);
        writer.flush(LIMIT);
    }
}
