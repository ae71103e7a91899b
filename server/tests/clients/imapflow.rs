//! ImapFlow, for Node.js.

use crate::harness::{Loft, client, installed, run, temporary};

#[test]
fn lists_fetches_downloads_and_waits() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let Some(mut node) = client("node") else { return };
    let Some(modules) = installed("node/node_modules") else { return };
    node.args(["-e", include_str!("imapflow.cjs")])
        .args([loft.imap.port().to_string(), loft.imaps.port().to_string()])
        .arg(dir.path().join("data/tls/certificate.pem"))
        .env("NODE_PATH", modules);
    let said = String::from_utf8(run(&mut node)).unwrap();
    // Which extensions were used.
    eprint!("{said}");
    assert!(said.starts_with("done with "), "{said}");
}
