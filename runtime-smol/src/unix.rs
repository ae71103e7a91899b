//! UNIX sockets in the file system: made without a race, named however long their path is.

use rustix::fs::{CWD, FlockOperation, Gid, Mode, OFlags, Uid, chownat, flock, open};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use std::fs::Permissions;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest name the kernel takes, in bytes.
const NAME_MAX: usize = 107;

/// How often a directory that somebody has locked is tried again, and the pause between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// Whose a socket is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owner {
    /// The user's number; `None` leaves it as it is.
    pub user: Option<u32>,
    /// The group's number; `None` leaves it as it is.
    pub group: Option<u32>,
}

/// Listens on a socket with these permissions and this owner. One that nobody listens on any more is removed first.
/// Nobody can connect before it has its owner and its permissions; of two that begin at once, one is refused.
pub(crate) fn listen_at(
    path: &Path,
    mode: u32,
    owner: Option<Owner>,
    backlog: i32,
) -> io::Result<(OwnedFd, SocketFile)> {
    // Between the look at an old socket and the moment the new one listens, nobody else of us may do the same.
    let _alone = lock_directory(path);
    remove_stale(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    briefly(path, |name| Ok(bind(&fd, &SocketAddrUnix::new(name)?)?))?;
    let file = SocketFile::new(path)?;
    if let Some(Owner { user, group }) = owner {
        let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
        chownat(CWD, path, user, group, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
    }
    // Before it listens: until then nobody can connect.
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    listen(&fd, backlog)?;
    Ok((fd, file))
}

/// Connects to a UNIX socket, however long its path.
///
/// # Errors
/// Those of the system calls.
pub fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    briefly(path, |name| UnixStream::connect(name))
}

/// Calls with a name for `path` that the kernel takes: through its directory, where it is too long.
fn briefly<T>(path: &Path, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().as_bytes().len() <= NAME_MAX {
        return call(path);
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let dir =
        open(parent(path), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    call(&Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Locks the directory, for as long as the value lives. Who may not, or has to wait for long, goes on without: the lock
/// is against an accident.
fn lock_directory(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = open(parent(path), flags, Mode::empty()).ok()?;
    for _ in 0..TRIES {
        match flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(dir),
            Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(PAUSE),
            Err(_) => return None,
        }
    }
    tracing::warn!(socket = %path.display(), "somebody holds a lock on the socket's directory; going on without");
    None
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(meta) if !meta.file_type().is_socket() => return Err(io::ErrorKind::AddrInUse.into()),
        Ok(_) => {}
    }
    match connect_unix(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// The name of a UNIX socket, which goes with this value.
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode: somebody may have put a socket of his own in its place.
    id: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        let meta = std::fs::symlink_metadata(path)?;
        // The working directory may change.
        Ok(Self { path: std::path::absolute(path)?, id: (meta.dev(), meta.ino()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = std::fs::symlink_metadata(&self.path);
        if found.is_ok_and(|meta| (meta.dev(), meta.ino()) == self.id) {
            // What stays is taken for stale by the next to listen there.
            let _stays = std::fs::remove_file(&self.path);
        }
    }
}
