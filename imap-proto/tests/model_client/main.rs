//! A client that believes what it is told: random commands, valid and not quite, by a session whose mailbox others change
//! meanwhile. From the responses alone the client keeps sequence numbers, UIDs, flags and mod-sequences, as a client
//! that stores mail does, and what it believes must be so in the store.
//!
//! Held against the responses as they come: EXPUNGE only where it may be told (RFC 3501 §7.4.1), numbers that exist,
//! UIDs that ascend and stay, mod-sequences that only grow, what is owed once CONDSTORE or IMAP4rev2 is enabled, replies
//! in the order of the commands, and every response by the grammar. Held against the store
//! whenever the session rests: a client that has HIGHESTMODSEQ has heard of everything up to it (RFC 7162 §3.1). And in
//! the end, after a NOOP: the same messages, the same flags and mod-sequences as far as the client heard of any.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)] // helpers of tests

#[path = "../grammar/mod.rs"]
mod grammar;

mod client;
mod commands;
mod response;

use client::Client;
use commands::Step;
use imap_proto::model::{Driver, Model};
use imap_proto::{Config, Event, Limits, MailboxName, Peer, Uid};
use proptest::prelude::*;

/// A session, its store, and the client.
struct World {
    driver: Driver,
    client: Client,
}

impl World {
    fn new(begin: &str, unsent: usize) -> Self {
        let limits = Limits { unsent, ..Limits::default() };
        let config = Config { imap4rev2: true, limits, ..Config::default() };
        let peer = Peer { tls: false, loopback: true };
        let mut world =
            Self { driver: Driver::new(config, peer, Model::new(4)), client: Client::default() };
        for command in ["LOGIN u pw", begin, "CREATE Other", "SELECT INBOX"] {
            world.command(command);
        }
        world
    }

    fn command(&mut self, text: &str) {
        if !self.driver.is_closed() {
            let bytes = self.client.send(text);
            self.driver.receive(&bytes);
        }
        self.look();
    }

    fn event(&mut self) {
        self.driver.event(Event::Changed);
        self.look();
    }

    fn look(&mut self) {
        for happening in self.driver.log.drain(..) {
            self.client.see(happening);
        }
        self.client.check_promises(&self.driver.model);
    }

    fn step(&mut self, step: &Step) {
        let inbox = MailboxName::inbox();
        match step {
            Step::Command(text) => self.command(text),
            Step::Deliver(text) => {
                self.driver.model.deliver(&inbox, text.as_bytes());
                self.event();
            }
            Step::Expunge(uid) => {
                self.driver.model.expunge(Uid(*uid));
                self.event();
            }
            Step::Flag(uid) => {
                self.driver.model.flag(Uid(*uid));
                self.event();
            }
            Step::Stall(on) => {
                self.driver.stalled = *on;
                self.driver.turn();
                self.look();
            }
            Step::Hold(on) => {
                self.driver.hold = *on;
                self.driver.durable();
                self.look();
            }
        }
    }

    /// All is read, all is durable, all is told: what the client believes is so.
    fn end(mut self) {
        self.step(&Step::Hold(false));
        self.step(&Step::Stall(false));
        self.command("NOOP");
        self.client.check_all(&self.driver.model);
        match self.client.selects_messages() {
            Some(true) => self.command("UID FETCH 1:* (FLAGS MODSEQ)"),
            Some(false) => self.command("SEARCH ALL"),
            None => self.command("UNSELECT"),
        }
        self.client.check_all(&self.driver.model);
        self.client.check_state_by_last_reply();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, ..ProptestConfig::default() })]
    #[test]
    fn a_client_that_believes_what_it_is_told_knows_the_mailbox(
        begin in prop::sample::select(&["NOOP", "ENABLE CONDSTORE", "ENABLE IMAP4rev2", "ENABLE IMAP4rev2 CONDSTORE"]),
        unsent in prop::sample::select(&[120, 64 << 10]),
        steps in prop::collection::vec(commands::step(), 1..40),
    ) {
        let mut world = World::new(begin, unsent);
        for step in &steps {
            world.step(step);
        }
        world.end();
    }
}
