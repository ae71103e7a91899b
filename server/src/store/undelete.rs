//! Expunged mail is listed, and brought back.
//!
//! The map keeps a message without references until compaction frees it, which it does not do before
//! [`StoreConfig::undelete_ms`](super::config::StoreConfig::undelete_ms) has passed; and it knows when and in which mailbox
//! the last reference went. What that mailbox knew of the message is in its tombstones or, if it was deleted itself, in its
//! files, which stay as long. Where these have forgotten it, the message's record says what held when it was saved.
//!
//! To bring messages back is a change like others: new rows in a mailbox, and references in the map.

mod memory;

use super::account::{Account, State};
use super::breath::{breathe, looked, slice};
use super::change::Change;
use super::check::{Tell, Told};
use super::delivery::flags_of;
use super::error::StoreError;
use super::message::Message;
use super::ops::{keyword_error, keywords_with_room};
use super::store::Store;
use dbox_format::map::{Draft, Gone, MapId};
use imap_proto::MailboxName;
use index_format::list::SpecialUse;
use index_format::mailbox::{NewMessage, Parts, TransactionBuilder};
use index_format::{Flags, Guid, Uid};
use memory::Memory;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which expunged messages are meant.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Which {
    /// Those of this mailbox; of all when none is named.
    pub mailbox: Option<String>,
    /// Those expunged at this time (seconds since 1970) or after.
    pub since: Option<i64>,
    /// These alone, by their GUIDs: 32 hexadecimal digits, which IMAP shows as EMAILID (RFC 8474 §5.1). All when it is empty.
    pub guids: BTreeSet<String>,
}

/// A message that can be brought back.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Expunged {
    /// Whose.
    pub user: String,
    /// Its GUID.
    pub guid: String,
    /// The mailbox it was last in, by its name now; or, where that isn't known, the one it was saved to.
    pub mailbox: String,
    /// When it was expunged, seconds since 1970; 0 where that isn't known.
    pub expunged: i64,
    /// INTERNALDATE, seconds since 1970.
    pub received: i64,
    /// Its bytes.
    pub size: u64,
    /// The flags it would have: as they were, or as they were when it was saved.
    pub flags: Vec<String>,
    /// Its Subject field, as it stands; empty where there is none or it can't be read.
    pub subject: String,
}

/// What was brought back into a mailbox.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Undeleted {
    /// Whose.
    pub user: String,
    /// The mailbox.
    pub mailbox: String,
    /// It was made for it.
    pub created: bool,
    /// How many messages.
    pub messages: u64,
    /// Of those, how many have the flags they were saved with, since those they had last aren't known.
    pub as_saved: u64,
}

/// Messages brought back by one change: each is several records.
const AT_ONCE: usize = 256;
/// Bytes of a message in which its Subject is looked for.
const HEADER: u64 = 16 << 10;
/// Messages after which progress is told.
const STEP: u64 = 1024;

/// What is known of an expunged message.
#[derive(Clone)]
struct Found {
    id: MapId,
    guid: [u8; 16],
    gone: Gone,
    size: u64,
    mailbox: String,
    /// Where it stood in that mailbox.
    uid: Option<Uid>,
    received: i64,
    flags: Flags,
    keywords: Vec<String>,
    /// Flags and keywords are those it had last.
    last: bool,
}

impl Store {
    /// The expunged messages of an account that can be brought back; the ones that went last come first.
    ///
    /// # Errors
    /// I/O; no such account; damage.
    pub fn expunged(
        &self,
        user: &str,
        which: &Which,
        tell: &mut dyn FnMut(Told),
    ) -> Result<Vec<Expunged>, StoreError> {
        self.account_dir(user)?;
        let account = self.account(user)?;
        self.flush();
        let found = self.find_expunged(&account, which, tell)?;
        let mut all = Vec::with_capacity(found.len());
        for (done, message) in (0..).zip(&found) {
            if done % STEP == 0 {
                let what = "subjects".to_owned();
                tell(Told::Progress { done, total: found.len() as u64, what });
            }
            all.push(Expunged {
                user: user.to_owned(),
                guid: Guid(message.guid).to_string(),
                mailbox: message.mailbox.clone(),
                expunged: i64::from(message.gone.time),
                received: message.received,
                size: message.size,
                flags: flag_names(message),
                subject: self.subject(&account, message.id)?,
            });
        }
        all.sort_by_key(|message| std::cmp::Reverse((message.expunged, message.received)));
        Ok(all)
    }

    /// Brings expunged messages back, each into the mailbox it was last in, or all into `to`; what isn't there is made. They
    /// get new UIDs and keep their GUIDs; `\Deleted` they lose.
    ///
    /// # Errors
    /// I/O; no such account; a name that no mailbox can have; more than a mailbox can hold. What was brought back before
    /// that stays.
    pub fn undelete(
        &self,
        user: &str,
        (which, to): (&Which, Option<&str>),
        tell: &mut dyn FnMut(Told),
    ) -> Result<Vec<Undeleted>, StoreError> {
        self.account_dir(user)?;
        self.writable()?;
        let account = self.account(user)?;
        let mut all: BTreeMap<String, Undeleted> = BTreeMap::new();
        self.flush();
        let mut found = self.find_expunged(&account, which, tell)?;
        // Those of a mailbox come back in the order they had there, some by each change.
        found.sort_by(|one, other| {
            let of = |is: &Found| (is.uid, is.id);
            one.mailbox.cmp(&other.mailbox).then_with(|| of(one).cmp(&of(other)))
        });
        for some in found.chunks(AT_ONCE) {
            self.writable_by(&account)?;
            let position = {
                let _keeping = self.keeping();
                let mut state = account.lock()?;
                self.bring_back(&account, &mut state, (some, to), &mut all)?
            };
            self.wait(position)?;
        }
        Ok(all.into_values().collect())
    }

    /// The change that brings these back.
    fn bring_back(
        &self,
        account: &Arc<Account>,
        state: &mut State,
        (found, to): (&[Found], Option<&str>),
        all: &mut BTreeMap<String, Undeleted>,
    ) -> Result<u64, StoreError> {
        let mut by_mailbox: BTreeMap<String, Vec<Found>> = BTreeMap::new();
        // What was freed, or brought back by somebody else, since it was found is no more expunged.
        let is_expunged = |message: &&Found| {
            looked();
            state.map.expunged_from(message.id).next() == Some((message.id, message.gone))
        };
        for message in found.iter().filter(is_expunged).cloned() {
            let name = to.map_or_else(|| message.mailbox.clone(), str::to_owned);
            by_mailbox.entry(name).or_default().push(message);
        }
        // What can fail comes before anything is assigned.
        for (name, messages) in &by_mailbox {
            match state.list.by_name(name).map(|entry| entry.guid) {
                Some(guid) => {
                    let mbox = account.mailbox_with(&self.files, state, guid, Parts::NONE)?;
                    let uids = u64::from(mbox.mailbox.uidnext().0) + messages.len() as u64;
                    if uids >= u64::from(u32::MAX) {
                        return Err(StoreError::Limit { what: "UIDs", max: u64::from(u32::MAX) });
                    }
                }
                None => {
                    _ = MailboxName::new(name).map_err(|_| {
                        StoreError::Cannot(
                            "no mailbox can have that name; name another one with --to",
                        )
                    })?
                }
            }
        }
        let mut change = Change::default();
        let mut guids = Vec::new();
        let listed = by_mailbox.keys().any(|name| state.list.by_name(name).is_none());
        for (name, mut messages) in by_mailbox {
            let known = state.list.by_name(&name).map(|entry| entry.guid);
            let guid = match known {
                Some(guid) => guid,
                None => self.add_mailbox(&mut change, account, state, &name, SpecialUse::NONE)?,
            };
            guids.push(guid);
            messages.sort_by_key(|message| (message.uid, message.id));
            self.append_found(&mut change, account, state, guid, &messages)?;
            let ids = messages.iter().map(|message| message.id);
            let mut draft = Draft::new(&state.map);
            draft.refs_add(ids);
            change.map(account, state, &draft.finish(), self.now())?;
            let told = all.entry(name.clone()).or_default();
            (told.user, told.mailbox) = (account.name().to_owned(), name);
            told.created |= known.is_none();
            told.messages += messages.len() as u64;
            told.as_saved += messages.iter().filter(|message| !message.last).count() as u64;
        }
        if change.is_empty() {
            return Ok(state.position);
        }
        let position = if listed { self.submit_list(change, state) } else { self.submit(change) };
        self.touch(state, &guids, position);
        Ok(position)
    }

    fn append_found(
        &self,
        change: &mut Change,
        account: &Arc<Account>,
        state: &mut State,
        guid: Guid,
        messages: &[Found],
    ) -> Result<(), StoreError> {
        let save_date = self.now();
        let mbox = account.mailbox_with(&self.files, state, guid, Parts::NONE)?;
        let mut names: BTreeSet<String> =
            mbox.mailbox.keywords().iter().map(str::to_owned).collect();
        let mut builder = TransactionBuilder::new(&mbox.mailbox, &mbox.names);
        builder.epoch(self.epoch());
        for message in messages {
            let keywords = keywords_with_room(&mut names, &message.keywords);
            let new = NewMessage {
                map_id: index_format::MapId(message.id.0),
                internal_date: message.received,
                save_date,
                size: message.size,
                flags: without_deleted(message.flags),
                keywords: &keywords,
            };
            builder.append(&new).map_err(|error| {
                account.kill();
                keyword_error(error)
            })?;
        }
        let transaction = builder.finish();
        change.mailbox(account, mbox, &transaction, 0)?;
        Ok(())
    }

    /// What is expunged and meant, with what is known of it; by map id. What becomes of it meanwhile is for the caller to see.
    fn find_expunged(
        &self,
        account: &Arc<Account>,
        which: &Which,
        tell: Tell<'_>,
    ) -> Result<Vec<Found>, StoreError> {
        let guids: BTreeSet<String> =
            which.guids.iter().map(|guid| guid.to_ascii_lowercase()).collect();
        let mut wanted = Vec::new();
        let mut next = Some(MapId(0));
        while let Some(from) = next {
            next = wanted_from(account, (which, &guids), from, &mut wanted)?;
            breathe();
        }
        let memory = {
            let _keeping = self.keeping();
            self.what_mailboxes_say(account, &mut *account.lock()?, &wanted)?
        };
        let mut found = Vec::new();
        for (done, &(id, gone)) in (0..).zip(&wanted) {
            if done % STEP == 0 {
                let what = "expunged messages".to_owned();
                tell(Told::Progress { done, total: wanted.len() as u64, what });
            }
            let Some(message) = self.one_expunged(account, (id, gone), &memory)? else {
                continue;
            };
            if which.mailbox.as_ref().is_none_or(|name| *name == message.mailbox) {
                found.push(message);
            }
        }
        Ok(found)
    }

    fn one_expunged(
        &self,
        account: &Account,
        (id, gone): (MapId, Gone),
        memory: &Memory,
    ) -> Result<Option<Found>, StoreError> {
        let message = {
            let state = account.lock()?;
            Message::find(account, &state, &account.pending(), id)
        };
        let Some(message) = message else { return Ok(None) };
        // One that can't be read any more can be brought back all the same, and says so when it is read.
        let head = message.head(&self.files, true, |head| {
            let keywords: Vec<String> = head.keywords().map(str::to_owned).collect();
            let saved = (Guid(head.mailbox().0), head.mailbox_name().to_owned());
            Ok((saved, head.received(), flags_of(head.flags()), keywords))
        });
        let head = head.ok();
        let mut found = Found {
            id,
            guid: message.guid,
            gone,
            size: message.size,
            mailbox: String::new(),
            uid: None,
            received: head.as_ref().map_or(i64::from(gone.time), |(_, received, ..)| *received),
            flags: head.as_ref().map_or(Flags::NONE, |(_, _, flags, _)| *flags),
            keywords: head.as_ref().map(|(_, _, _, keywords)| keywords.clone()).unwrap_or_default(),
            last: false,
        };
        if let Some((name, said)) = memory.said.get(&id.0) {
            (found.mailbox, found.uid, found.last) = (name.to_string(), Some(said.uid), true);
            (found.flags, found.keywords) = (said.flags, said.keywords.clone());
            found.received = said.received.unwrap_or(found.received);
            return Ok(Some(found));
        }
        let named = |is: &dyn Fn(Guid) -> bool| {
            memory.names.iter().find(|(guid, _)| is(*guid)).map(|(_, name)| name.to_string())
        };
        let last = named(&|guid| gone.is_in(super::ops::gone_from(guid)));
        let saved = head.map(|((saved, name), ..)| named(&|guid| guid == saved).unwrap_or(name));
        found.mailbox = last.or(saved).unwrap_or_else(|| "INBOX".to_owned());
        Ok(Some(found))
    }

    fn subject(&self, account: &Arc<Account>, id: MapId) -> Result<String, StoreError> {
        let message = {
            let state = account.lock()?;
            Message::find(account, &state, &account.pending(), id)
        };
        let Some(message) = message else { return Ok(String::new()) };
        let mut header = Vec::new();
        // What can't be read is said by who reads it.
        let _ = message.read_range(self, 0..message.size.min(HEADER), true, &mut header);
        Ok(subject_of(&header))
    }
}

/// The expunged messages that are meant, in the slice from an id on; and where to go on.
fn wanted_from(
    account: &Account,
    (which, guids): (&Which, &BTreeSet<String>),
    from: MapId,
    wanted: &mut Vec<(MapId, Gone)>,
) -> Result<Option<MapId>, StoreError> {
    let state = account.lock()?;
    let since = which.since.unwrap_or(i64::MIN);
    let named = |id: MapId| {
        let guid = || state.map.get(id).map(|entry| entry.guid.to_string());
        guids.is_empty() || guid().is_some_and(|guid| guids.contains(&guid))
    };
    let mut expunged = state.map.expunged_from(from);
    let some = expunged.by_ref().take(slice()).inspect(|_| looked());
    wanted.extend(some.filter(|(id, gone)| i64::from(gone.time) >= since && named(*id)));
    Ok(expunged.next().map(|(id, _)| id))
}

/// A client that sees it again with `\Deleted` would expunge it again.
fn without_deleted(flags: Flags) -> Flags {
    Flags(flags.0 & !Flags::DELETED.0)
}

fn flag_names(message: &Found) -> Vec<String> {
    let system = [
        (Flags::SEEN, "\\Seen"),
        (Flags::ANSWERED, "\\Answered"),
        (Flags::FLAGGED, "\\Flagged"),
        (Flags::DRAFT, "\\Draft"),
    ];
    let system = system.iter().filter(|(flag, _)| message.flags.contains(*flag));
    let system = system.map(|(_, name)| (*name).to_owned());
    system.chain(message.keywords.iter().cloned()).collect()
}

/// The value of the first Subject field in the header at the front of a message, unfolded (RFC 5322 §2.2.3).
fn subject_of(header: &[u8]) -> String {
    let text = String::from_utf8_lossy(header);
    let mut value: Option<String> = None;
    for line in text.lines().take_while(|line| !line.is_empty()) {
        match (&mut value, line.starts_with([' ', '\t'])) {
            (Some(value), true) => *value += line,
            (Some(_), false) => break,
            (None, _) => {
                let field = line.split_once(':');
                let field = field.filter(|(name, _)| name.trim().eq_ignore_ascii_case("subject"));
                value = field.map(|(_, value)| value.trim_start().to_owned());
            }
        }
    }
    value.unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::subject_of;

    #[test]
    fn subjects_are_unfolded() {
        let header =
            b"X: subject: no\r\nSubject:  one\r\n two\r\nFrom: a\r\nSubject: three\r\n\r\n";
        assert_eq!(subject_of(header), "one two");
        assert_eq!(subject_of(b"From: a\r\n\r\n"), "");
    }
}
