//! LMTP on a UNIX socket, as who starts and stops the server sees it.

use crate::harness::{Loft, command_but, output, temporary};
use crate::wire::Imap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a second server says that is to listen on `socket`.
fn refused(dir: &Path, socket: &Path) -> String {
    let mut second = command_but(&dir.join("second"), "--lmtp");
    let said = output(second.arg("--lmtp").arg(format!("unix:{}", socket.display())));
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    assert!(said.stdout.is_empty());
    String::from_utf8(said.stderr).unwrap()
}

#[test]
fn a_socket_is_made_guarded_replaced_and_removed() {
    let dir = temporary();
    let socket = dir.path().join("lmtp");
    let loft = Loft::start_on(&dir, &socket);
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666, "the directory says who may connect");
    let said = refused(dir.path(), &socket);
    assert!(said.contains(&format!("cannot listen on unix:{}", socket.display())), "{said}");
    assert!(said.contains("another program listens there"), "{said}");
    assert!(socket.exists(), "the first one's is left alone");
    // After a kill nobody listens there.
    loft.kill();
    assert!(socket.exists());
    let loft = Loft::start_on(&dir, &socket);
    Imap::log_in(loft.imap, "u1");
    assert!(loft.stop().success());
    assert!(!socket.exists());
}

#[test]
fn what_can_be_no_socket_is_said_so() {
    let dir = temporary();
    fs::create_dir(dir.path().join("second")).unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "precious").unwrap();
    let said = refused(dir.path(), &file);
    assert!(said.contains("a file that is no socket"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    let said = refused(dir.path(), &dir.path().join("none/lmtp"));
    assert!(
        said.contains("make the directory first, or choose another path with --lmtp"),
        "{said}"
    );
    let said = refused(dir.path(), &dir.path().join("long".repeat(30)));
    assert!(said.contains("at most 107 bytes can name a socket"), "{said}");
}
