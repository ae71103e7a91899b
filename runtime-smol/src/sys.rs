//! The one place of Loft that says `unsafe`.

use rustix::io::{FdFlags, fcntl_setfd};
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

/// `O_CLOEXEC` in the flags that `/proc/self/fdinfo` shows: the same on all the architectures Loft is built for.
const CLOSE_ON_EXEC: u32 = 0o2_000_000;

/// Takes over a descriptor that this process was started with; `None` when it was opened since, or was taken before.
///
/// # Errors
/// When there is no such descriptor, or the system does not say what it is.
#[allow(
    unsafe_code,
    reason = "a descriptor that comes with the process is known by its number alone"
)]
pub(crate) fn adopt(fd: RawFd) -> io::Result<Option<OwnedFd>> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    let flags = flags.ok_or(io::ErrorKind::InvalidData)?;
    if flags & CLOSE_ON_EXEC != 0 || fd <= 2 {
        return Ok(None);
    }
    // SAFETY: `from_raw_fd` asks that the descriptor is open and that nobody else owns it.
    // - It is open: the kernel has just shown its entry, and nobody closes it in between. Whoever could would have to own
    //   it, and nobody does:
    // - What this program opens, by std and rustix, has close-on-exec from its first moment on. This one has not, so it
    //   was there before the program began, and came from whoever started it; std owns nothing of that but
    //   0, 1 and 2, which are left alone.
    // - It is given out once: from here on it has the flag, and another call returns above; the lock keeps two calls
    //   from looking at the same time.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(Some(fd))
}
