//! IMAPClient, for Python.

use crate::harness::{Loft, installed, run, temporary};
use std::process::Command;

#[test]
fn searches_fetches_waits_and_moves() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let Some(python) = installed("python/bin/python3") else { return };
    let mut python = Command::new(python);
    python
        .args(["-c", include_str!("imapclient.py")])
        .args([loft.imap.port().to_string(), loft.imaps.port().to_string()])
        .arg(dir.path().join("data/tls/certificate.pem"));
    assert_eq!(run(&mut python), b"done\n");
}
