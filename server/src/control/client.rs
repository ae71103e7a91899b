//! The asking side of the control socket.

use super::protocol::{Command, Reply, Request, VERSION};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same where it may wait for a disk to take much, or for a checkpoint, before it has anything to tell.
const LONG_PATIENCE: Duration = Duration::from_secs(900);

/// The longest answer that is read, in bytes: a million sessions.
const ANSWER_MAX: u64 = 512 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody listens.
    #[error("no server runs on {}; start it with `loft serve --config FILE`, or name its directory with --data", data.display())]
    NotRunning {
        /// The data directory.
        data: PathBuf,
    },
    /// The directory is not ours to look into.
    #[error("the server on {} is for its own user: run this as that user, or as root", data.display())]
    Denied {
        /// The data directory.
        data: PathBuf,
    },
    /// It listens and says nothing of use.
    #[error("the server on {} does not answer: {source}; its log may say why", data.display())]
    Silent {
        /// The data directory.
        data: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// It said why not.
    #[error("{0}")]
    Refused(String),
}

/// Asks the server that has its mail in `data`. `each` is called with every line but the last, whose number is returned.
///
/// # Errors
/// See [`Error`].
pub fn ask(data: &Path, command: Command, mut each: impl FnMut(Reply)) -> Result<u64, Error> {
    let stream = connect(data, command)?;
    let silent = |source| Error::Silent { data: data.to_owned(), source };
    let mut lines = BufReader::new((&stream).take(ANSWER_MAX));
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => return Err(silent(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => return Err(silent(error)),
        }
        match serde_json::from_slice(&line) {
            Ok(Reply::Done(count)) => return Ok(count),
            Ok(Reply::Error(why)) => return Err(Error::Refused(why)),
            Ok(reply) => each(reply),
            Err(error) => return Err(silent(error.into())),
        }
    }
}

/// Connects to the server that has its mail in `data`, and asks.
pub(crate) fn connect(data: &Path, command: Command) -> Result<UnixStream, Error> {
    let stream = runtime_smol::connect_unix(&super::path(data)).map_err(|source| {
        let data = data.to_owned();
        let kind = source.kind();
        if matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
            Error::NotRunning { data }
        } else if kind == io::ErrorKind::PermissionDenied {
            Error::Denied { data }
        } else {
            Error::Silent { data, source }
        }
    })?;
    let silent = |source| Error::Silent { data: data.to_owned(), source };
    let long = matches!(command, Command::Backup { .. } | Command::Restore(_));
    let patience = if long { LONG_PATIENCE } else { PATIENCE };
    stream.set_read_timeout(Some(patience)).map_err(silent)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(silent)?;
    let mut line = serde_json::to_vec(&Request { version: VERSION, command })
        .map_err(|error| silent(error.into()))?;
    line.push(b'\n');
    // It may have answered, and closed, without hearing this out: what it says, or that it is gone, is read.
    let _refused = (&stream).write_all(&line);
    Ok(stream)
}

/// Why it refuses, if that is what the line says.
pub(crate) fn refusal(line: &[u8]) -> Option<String> {
    match serde_json::from_slice(line) {
        Ok(Reply::Error(why)) => Some(why),
        _ => None,
    }
}
