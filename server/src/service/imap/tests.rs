//! A connection driven by hand.

use super::*;
use crate::accounts;
use crate::admission::{Admission, OutputBudget};
use crate::config::{Limits, Service};
use crate::hash_pool::HashPool;
use crate::login_delay::Delays;
use crate::service::{Plaintext, Pools, Settings};
use crate::store::{Attachments, Store, StoreConfig};
use runtime_smol::sim::SimFs;
use runtime_smol::{Clock, Door as _, Output as Wish, Pool};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

struct Connection {
    fs: SimFs,
    machine: Imap,
    /// Times that the machine had nothing to send and nothing to read for now.
    waits: usize,
}

impl Connection {
    fn new() -> Self {
        let fs = SimFs::new();
        let numbers = AtomicU64::new(1);
        let random = move |bytes: &mut [u8]| {
            let number = numbers.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            bytes.iter_mut().zip(number.into_iter().cycle()).for_each(|(byte, of)| *byte = of);
        };
        // What is read is as long as what is stored.
        let (attachments, compression) = (Attachments::Whole, None);
        let config = StoreConfig { reserve: 0, attachments, compression, ..StoreConfig::default() };
        let clock = Clock::new();
        let (disk, root) = (Arc::new(fs.clone()), Path::new("/data"));
        let now = Box::new(|| 1_800_000_000);
        let store = Store::open(disk, root, config, Arc::new(random), now).unwrap();
        let demo = Arc::new(accounts::Demo::new(1, "pw"));
        let pool = || Pool::start("pool", 1, 8).unwrap();
        let hashes = HashPool::start(1, 8).unwrap();
        let pools = Pools { files: Arc::new(pool()), compute: pool(), hashes };
        let (imap, lmtp) = (imap_proto::Limits::default(), lmtp_proto::Limits::default());
        let settings = Settings::new("localhost", 1 << 20, Plaintext::Loopback, imap, lmtp);
        let Limits { login, imap, .. } = Limits::default();
        let delays = Delays::new(login, Vec::new());
        let shared = Shared::new(store, demo, pools, delays, clock, "localhost", settings);
        let peer = Peer { loopback: true, ..Peer::default() };
        let output = OutputBudget::new(1 << 20);
        let door = Admission::new(Service::Imap, imap, Some(60_000), Vec::new(), output);
        let visitor = door.enter(&peer, Time(0)).unwrap();
        let id = shared.ids.session();
        let machine = Imap::new(shared, &id, &peer, Time(0), visitor);
        Self { fs, machine, waits: 0 }
    }

    /// Sends `input`, and takes what comes until it contains `until`.
    fn talk(&mut self, input: &[u8], until: &[u8]) -> Vec<u8> {
        let (mut rest, mut out) = (input, Vec::new());
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10_000 {
            self.machine.shared.store.flush();
            self.machine.poll_events(Time(0), &mut cx);
            match self.machine.poll_output(Time(0)) {
                Wish::Transmit(_) => self.transmit(&mut out),
                Wish::Wait { wants_input: true, .. } if !rest.is_empty() => {
                    let taken = self.machine.handle_input(Time(0), rest);
                    rest = &rest[taken..];
                }
                Wish::Wait { .. } if memchr::memmem::find(&out, until).is_some() => return out,
                Wish::Wait { .. } => {
                    self.waits += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Wish::Upgrade | Wish::Close => break,
            }
        }
        panic!("no {:?} in {:?}", until.escape_ascii(), out.escape_ascii());
    }

    /// Takes what there is to be sent.
    fn transmit(&mut self, out: &mut Vec<u8>) {
        if let Wish::Transmit(bytes) = self.machine.poll_output(Time(0)) {
            out.extend_from_slice(bytes);
            let sent = bytes.len();
            self.machine.transmitted(sent);
        }
    }

    /// What comes before the connection is closed, without another word from the client.
    fn ended(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            self.machine.poll_events(Time(0), &mut cx);
            match self.machine.poll_output(Time(0)) {
                Wish::Transmit(_) => self.transmit(&mut out),
                Wish::Close => return out,
                Wish::Wait { .. } | Wish::Upgrade => panic!("it goes on behind {out:?}"),
            }
        }
    }
}

#[test]
fn a_body_that_memory_does_not_have_is_read_on_another_thread() {
    let mut connection = Connection::new();
    connection.talk(b"", b"* OK");
    connection.talk(b"a LOGIN u1 pw\r\n", b"a OK");
    let line = b"0123456789abcdef\x00123456789abcdef\r\n";
    let encoded = b"AAECAwQFBgcICQoLDA0ODw==\r\n";
    let head = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let plain = [b"Subject: s\r\n\r\n".as_slice(), &line.repeat(9000)].concat();
    let base64 = [head.as_slice(), &encoded.repeat(20_000)].concat();
    for (text, binary) in [(&plain, "~"), (&base64, "")] {
        let append = format!("b APPEND INBOX {binary}{{{}+}}\r\n", text.len());
        connection.talk(&[append.as_bytes(), text, b"\r\n"].concat(), b"b OK");
    }
    connection.talk(b"c SELECT INBOX\r\n", b"c OK");
    let commands: [&[u8]; 3] = [
        b"d FETCH 1 BODY.PEEK[]\r\n",
        b"d FETCH 2 BODY.PEEK[]\r\n",
        b"d FETCH 2 BINARY.PEEK[1]\r\n",
    ];
    for command in commands {
        connection.waits = 0;
        let warm = connection.talk(command, b"\r\nd OK");
        assert!(warm.len() > 200_000);
        let waited = connection.waits;
        connection.fs.set_cold(true);
        let cold = connection.talk(command, b"\r\nd OK");
        connection.fs.set_cold(false);
        assert!(warm == cold, "{} and {} bytes", warm.len(), cold.len());
        let steps = warm.len() / (64 << 10);
        assert!(connection.waits >= waited + steps, "{} waits", connection.waits - waited);
    }
}

/// RFC 9051 §7.1.5: who is logged in when the account is given up is told so, waits for nothing, and comes back to it.
#[test]
fn an_account_that_is_given_up_says_bye_to_its_sessions() {
    let bye = b"* BYE [UNAVAILABLE] The account is being opened anew, connect again\r\n";
    for commands in 0..3 {
        let mut connection = Connection::new();
        connection.talk(b"", b"* OK");
        connection.talk(b"a LOGIN u1 pw\r\n", b"a OK");
        let before: [(&[u8], &[u8]); 2] =
            [(b"b SELECT INBOX\r\n", b"b OK"), (b"c IDLE\r\n", b"+ idling")];
        for (command, until) in before.into_iter().take(commands) {
            connection.talk(command, until);
        }
        let store = connection.machine.shared.store.clone();
        store.account("u1").unwrap().kill();
        assert_eq!(connection.ended(), bye, "behind {commands} commands");
        // Who comes back has the account anew.
        assert!(store.account("u1").unwrap().lock().is_ok());
    }
}
