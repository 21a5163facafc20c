//! Files on their way into a backup and out of it: copied and added up in one pass, or linked to a copy that is there.

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::recordings::{Checksum, KeyFile, Reader, Writer, begins_encrypted};

const BUFFER_BYTES: usize = 256 * 1024;

/// Size and checksum of what was read.
pub(super) type Sum = (u64, Checksum);

/// Copies a file that nobody else may read. Folders on the way are made.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<Sum> {
    let mut source = fs::File::open(from)?;
    make_folders(to.parent().unwrap_or(to))?;
    let mut copy = create(to)?;
    read_all(&mut source, |chunk| copy.write_all(chunk))
}

/// A file that was copied into a backup.
pub(super) struct Copied {
    pub sum: Sum,
    /// Of its plain bytes, where it is encrypted and could be read.
    pub plain: Option<Sum>,
}

/// Copies a file so that with a key it is encrypted there: what is encrypted already goes as it is. The copy is read again.
pub(super) fn copy_encrypted(from: &Path, to: &Path, key: Option<&KeyFile>) -> io::Result<Copied> {
    let Some(key) = key else { return Ok(Copied { sum: copy(from, to)?, plain: None }) };
    let mut source = BufReader::with_capacity(BUFFER_BYTES, fs::File::open(from)?);
    make_folders(to.parent().unwrap_or(to))?;
    let mut copy = create(to)?;
    if begins_encrypted(&mut source)? {
        let sum = read_all(&mut source, |chunk| copy.write_all(chunk))?;
        // Of another key, or damaged: better than none.
        return Ok(Copied { sum, plain: plain_sum(to, Some(key)).ok() });
    }
    let mut writer = Writer::new(Summing::new(copy), Some(&key.key()?))?;
    let plain = read_all(&mut source, |chunk| writer.write_all(chunk))?;
    let sum = writer.finish()?.finish().1;
    if plain_sum(to, Some(key))? != plain {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "what was encrypted reads back as something else"));
    }
    Ok(Copied { sum, plain: Some(plain) })
}

/// Copies the plain bytes of a file, encrypted or not. The answer is their sum.
pub(super) fn copy_plain(from: &Path, to: &Path, key: Option<&KeyFile>) -> io::Result<Sum> {
    let mut source = Reader::open(from, key)?;
    make_folders(to.parent().unwrap_or(to))?;
    let mut copy = create(to)?;
    read_all(&mut source, |chunk| copy.write_all(chunk))
}

fn plain_sum(path: &Path, key: Option<&KeyFile>) -> io::Result<Sum> {
    read_all(&mut Reader::open(path, key)?, |_| Ok(()))
}

/// Whether the file of this name below `folder`, or a folder on the way to it, is a link.
pub(super) fn is_behind_link(folder: &Path, name: &str) -> bool {
    let mut path = folder.to_owned();
    Path::new(name).components().any(|part| {
        path.push(part);
        path.is_symlink()
    })
}

/// Whether `path`, which need not be there, is `folder` or lies below it, whatever links lead there.
pub fn lies_within(path: &Path, folder: &Path) -> bool {
    without_links(path).starts_with(without_links(folder))
}

/// The path without links, as far as it is there.
fn without_links(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = path.ancestors().find_map(|ancestor| Some((ancestor, fs::canonicalize(ancestor).ok()?)));
    match found {
        Some((ancestor, real)) => real.join(path.strip_prefix(ancestor).unwrap_or(Path::new(""))),
        None => path,
    }
}

/// Makes or empties a file that nobody else may read.
pub(super) fn create(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Reads a file again and adds it up.
pub(super) fn sum(path: &Path) -> io::Result<Sum> {
    read_all(&mut fs::File::open(path)?, |_| Ok(()))
}

fn read_all(source: &mut impl Read, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Sum> {
    let (mut size, mut hash, mut buffer) = (0, Sha256::new(), vec![0; BUFFER_BYTES]);
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok((size, Checksum(hash.finalize().into()))),
            count => {
                each(&buffer[..count])?;
                hash.update(&buffer[..count]);
                size += count as u64;
            }
        }
    }
}

/// Voices and numbers of people: for this user alone.
pub(super) fn make_folders(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Everything that was written to the disk of this folder survives the loss of power from here on. One call for many files.
pub(super) fn sync_disk_of(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(folder)?)?)
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Counts what is written through it.
pub(super) struct Summing<W> {
    inner: W,
    size: u64,
    hash: Sha256,
}

impl<W: Write> Summing<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, size: 0, hash: Sha256::new() }
    }

    pub fn finish(self) -> (W, Sum) {
        (self.inner, (self.size, Checksum(self.hash.finalize().into())))
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
