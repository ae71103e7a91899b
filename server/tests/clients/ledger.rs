//! What clients were promised, kept where the server can't reach it, and held against what is there.

use crate::wire::Imap;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The header that names a mail of the ledger.
pub(crate) const HEADER: &str = "X-Ledger";

/// All that was asked for and answered, of all accounts.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<BTreeMap<String, Account>>);

/// One account's INBOX.
#[derive(Default)]
pub(crate) struct Account {
    /// Mails that were offered; those not in `acknowledged` may be there or not.
    pub(crate) sent: BTreeSet<String>,
    /// Mails that were acknowledged, with their UID where the reply told it.
    pub(crate) acknowledged: BTreeMap<String, Option<u32>>,
    /// UIDs whose flag was acknowledged.
    pub(crate) flagged: BTreeSet<u32>,
    /// UIDs that someone asked to expunge.
    pub(crate) expunging: BTreeSet<u32>,
    /// UIDs whose expunge was acknowledged.
    pub(crate) expunged: BTreeSet<u32>,
    /// What a client has seen: UIDs and their mails, and the UIDVALIDITY.
    pub(crate) seen: BTreeMap<u32, String>,
    pub(crate) uidvalidity: Option<String>,
    /// The HIGHESTMODSEQ that a client was told last, and which UIDs were flagged then.
    modseq: u64,
    flags: BTreeMap<u32, bool>,
}

/// What a mailbox holds.
struct Found {
    uidvalidity: String,
    uidnext: u32,
    modseq: u64,
    mails: BTreeMap<u32, Mail>,
}

struct Mail {
    id: String,
    flagged: bool,
    modseq: u64,
}

impl Ledger {
    /// Writes about an account.
    pub(crate) fn account<T>(&self, name: &str, write: impl FnOnce(&mut Account) -> T) -> T {
        write(self.accounts().entry(name.to_owned()).or_default())
    }

    fn accounts(&self) -> MutexGuard<'_, BTreeMap<String, Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at every mailbox: nothing lost, doubled, renumbered or back from the dead. Returns how many mails there
    /// are.
    pub(crate) fn check(&self, at: SocketAddr) -> usize {
        self.accounts().iter_mut().map(|(name, account)| account.check(name, &look(at, name))).sum()
    }
}

impl Account {
    fn check(&mut self, name: &str, found: &Found) -> usize {
        let known = self.uidvalidity.get_or_insert_with(|| found.uidvalidity.clone());
        assert_eq!(*known, found.uidvalidity, "{name}: UIDVALIDITY changed");
        let mut uids: BTreeMap<&str, u32> = BTreeMap::new();
        for (&uid, Mail { id: mail, .. }) in &found.mails {
            assert!(self.sent.contains(mail), "{name}: nobody sent {mail:?}, UID {uid}");
            if let Some(other) = uids.insert(mail, uid) {
                panic!("{name}: {mail} is there twice, as {other} and {uid}");
            }
            assert!(!self.expunged.contains(&uid), "{name}: UID {uid} was expunged and is back");
        }
        for (mail, uid) in &self.acknowledged {
            match (uids.get(mail.as_str()), uid) {
                (Some(found), Some(uid)) => assert_eq!(found, uid, "{name}: {mail} was renumbered"),
                (Some(_), None) => {}
                (None, Some(uid)) => {
                    assert!(self.expunging.contains(uid), "{name}: {mail}, UID {uid}, is lost")
                }
                (None, None) => {
                    let gone = self.seen.iter().find(|(_, seen)| *seen == mail).map(|(uid, _)| uid);
                    assert!(
                        gone.is_some_and(|uid| self.expunging.contains(uid)),
                        "{name}: {mail} is lost"
                    );
                }
            }
        }
        let highest = self.seen.last_key_value().map_or(0, |(uid, _)| *uid);
        assert!(found.uidnext > highest, "{name}: UIDNEXT {} after UID {highest}", found.uidnext);
        for (uid, mail) in &self.seen {
            match found.mails.get(uid) {
                Some(now) => assert_eq!(now.id, *mail, "{name}: UID {uid} means another mail"),
                None => assert!(self.expunging.contains(uid), "{name}: UID {uid} is lost"),
            }
        }
        for (uid, Mail { id: mail, flagged, .. }) in &found.mails {
            if !self.seen.contains_key(uid) {
                assert!(*uid > highest, "{name}: {mail} is new below UID {highest}, as {uid}");
            }
            assert!(*flagged || !self.flagged.contains(uid), "{name}: UID {uid} lost its flag");
        }
        self.check_modseqs(name, found);
        self.seen.extend(found.mails.iter().map(|(uid, mail)| (*uid, mail.id.clone())));
        found.mails.len()
    }

    /// Whatever changed since a client was told HIGHESTMODSEQ it finds by asking for what lies above (RFC 7162 §3.1).
    fn check_modseqs(&mut self, name: &str, found: &Found) {
        assert!(found.modseq >= self.modseq, "{name}: HIGHESTMODSEQ fell from {}", self.modseq);
        for (uid, mail) in &found.mails {
            assert!(mail.modseq <= found.modseq, "{name}: UID {uid} is above HIGHESTMODSEQ");
            assert!(
                self.flags.get(uid) == Some(&mail.flagged) || mail.modseq > self.modseq,
                "{name}: UID {uid} changed at {}, though {} had been told",
                mail.modseq,
                self.modseq
            );
        }
        self.modseq = found.modseq;
        self.flags = found.mails.iter().map(|(uid, mail)| (*uid, mail.flagged)).collect();
    }
}

fn look(at: SocketAddr, account: &str) -> Found {
    let mut imap = Imap::log_in(at, account);
    let selected = imap.ok("SELECT INBOX");
    let code = |name: &str| {
        let line = selected.iter().find_map(|line| line.split_once(&format!("[{name} ")));
        line.unwrap().1.split(']').next().unwrap().to_owned()
    };
    let (uidvalidity, uidnext) = (code("UIDVALIDITY"), code("UIDNEXT").parse().unwrap());
    let modseq = code("HIGHESTMODSEQ").parse().unwrap();
    let mut mails = BTreeMap::new();
    let exists = selected.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS"));
    if exists != Some("0") {
        let lines =
            imap.ok(&format!("UID FETCH 1:* (FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS ({HEADER})])"));
        let mut row = None;
        for line in lines {
            if let Some((_, rest)) = line.split_once(" FETCH ") {
                let number = |name: &str| -> u64 {
                    let behind = rest.split_once(name).unwrap().1;
                    behind.split([' ', ')']).next().unwrap().parse().unwrap()
                };
                let uid = u32::try_from(number("UID ")).unwrap();
                row = Some((uid, rest.contains("\\Flagged"), number("MODSEQ (")));
            } else if let Some(mail) = line.strip_prefix(HEADER) {
                let (uid, flagged, modseq) = row.take().unwrap();
                let mail = Mail { id: mail[2..].to_owned(), flagged, modseq };
                assert!(mails.insert(uid, mail).is_none(), "UID {uid} twice");
            }
        }
        assert_eq!(exists, Some(mails.len().to_string().as_str()));
    }
    Found { uidvalidity, uidnext, modseq, mails }
}
