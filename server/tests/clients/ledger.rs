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
}

/// What a mailbox holds.
struct Found {
    uidvalidity: String,
    uidnext: u32,
    mails: BTreeMap<u32, (String, bool)>,
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
        for (&uid, (mail, _)) in &found.mails {
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
                Some((now, _)) => assert_eq!(now, mail, "{name}: UID {uid} means another mail"),
                None => assert!(self.expunging.contains(uid), "{name}: UID {uid} is lost"),
            }
        }
        for (uid, (mail, flagged)) in &found.mails {
            if !self.seen.contains_key(uid) {
                assert!(*uid > highest, "{name}: {mail} is new below UID {highest}, as {uid}");
            }
            assert!(*flagged || !self.flagged.contains(uid), "{name}: UID {uid} lost its flag");
        }
        self.seen.extend(found.mails.iter().map(|(uid, (mail, _))| (*uid, mail.clone())));
        found.mails.len()
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
    let mut mails = BTreeMap::new();
    let exists = selected.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS"));
    if exists != Some("0") {
        let lines = imap.ok(&format!("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS ({HEADER})])"));
        let mut row = None;
        for line in lines {
            if let Some((_, rest)) = line.split_once(" FETCH ") {
                let uid: u32 = rest
                    .split_once("UID ")
                    .unwrap()
                    .1
                    .split([' ', ')'])
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap();
                row = Some((uid, rest.contains("\\Flagged")));
            } else if let Some(mail) = line.strip_prefix(HEADER) {
                let (uid, flagged) = row.take().unwrap();
                assert!(
                    mails.insert(uid, (mail[2..].to_owned(), flagged)).is_none(),
                    "UID {uid} twice"
                );
            }
        }
        assert_eq!(exists, Some(mails.len().to_string().as_str()));
    }
    Found { uidvalidity, uidnext, mails }
}
