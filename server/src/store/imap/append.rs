//! APPEND: messages that come in, all of one command saved together.

use super::{Handled, ImapUser, refusal};
use crate::store::attachments::Cuts;
use crate::store::body::{Body, Gather};
use crate::store::delivery::Mail;
use crate::store::error::StoreError;
use crate::store::large::Ahead;
use crate::store::store::Preparing;
use imap_proto::date::DateTime;
use imap_proto::{Answer, Flags, Keyword, MailboxName, Position, Uid, UidSet, UidValidity};
use std::sync::Arc;

/// Bytes of one command that are gathered in memory; messages behind that go to files.
const GATHER: u64 = 4 << 20;

/// Bytes that are looked at and compressed on an executor's thread: about a millisecond.
const INLINE: u64 = 256 << 10;

/// The messages of an APPEND so far.
pub(super) struct Append {
    mailbox: String,
    messages: Vec<Incoming>,
    error: Option<StoreError>,
    _preparing: Preparing,
}

struct Incoming {
    gather: Gather,
    flags: Flags,
    date: i64,
}

impl Append {
    pub(super) fn write(&mut self, text: &[u8]) {
        if let Some(message) = self.messages.last_mut()
            && self.error.is_none()
        {
            self.error = message.gather.write(text).err();
        }
    }
}

impl ImapUser {
    pub(super) fn append_open(
        &mut self,
        mailbox: &MailboxName,
        flags: Flags,
        date: Option<DateTime>,
        size: u64,
        first: bool,
    ) -> Result<Answer, StoreError> {
        let max = self.store.config.message_max;
        if size > max {
            return Err(StoreError::TooLarge { max });
        }
        if self.store.free_space_low() {
            return Err(StoreError::Full { path: self.store.root().to_owned() });
        }
        if self.account.lock()?.list.by_name(mailbox.as_str()).is_none() {
            return Ok(refusal(&StoreError::NoMailbox, true));
        }
        if first || self.append.is_none() {
            let _preparing = self.store.preparing();
            let mailbox = mailbox.as_str().to_owned();
            self.append = Some(Append { mailbox, messages: Vec::new(), error: None, _preparing });
        }
        let Some(append) = &mut self.append else {
            return Err(StoreError::Cannot("no APPEND was begun"));
        };
        let gathered: u64 = append.messages.iter().map(|message| message.gather.len()).sum();
        let limit = if gathered + size > GATHER { 0 } else { self.store.config.gather_max };
        let date = date.map_or_else(|| self.store.now(), |date| date.seconds);
        // Of each keyword its name, and three bytes.
        let keywords: usize = flags.keywords.iter().map(|keyword| keyword.as_str().len() + 3).sum();
        let ahead = Ahead { prefix: Vec::new(), names: append.mailbox.len() + keywords };
        let gather = Gather::new(self.store.clone(), limit, ahead);
        append.messages.push(Incoming { gather, flags, date });
        Ok(Answer::Proceed)
    }

    pub(super) fn append_commit(&mut self) -> Handled {
        let Some(append) = self.append.take() else {
            return Handled::Now(refusal(&StoreError::Cannot("no APPEND was begun"), false));
        };
        if let Some(error) = append.error {
            return Handled::Now(refusal(&error, false));
        }
        let (store, account, session) = (self.store.clone(), self.account.clone(), self.session);
        let gathered: u64 = append.messages.iter().map(|message| message.gather.len()).sum();
        let large =
            gathered > INLINE || append.messages.iter().any(|message| message.gather.is_large());
        let work = move || {
            let mut bodies = Vec::with_capacity(append.messages.len());
            for message in append.messages {
                match message.gather.finish() {
                    Ok((body, cuts)) => bodies.push((body, cuts, message.flags, message.date)),
                    Err(error) => return refusal(&error, false),
                }
            }
            save(&store, &account, session, &append.mailbox, &bodies)
        };
        if large { Handled::Work(Box::new(work)) } else { Handled::Now(work()) }
    }
}

fn save(
    store: &crate::store::Store,
    account: &Arc<crate::store::Account>,
    session: u64,
    mailbox: &str,
    bodies: &[(Body, Option<Cuts>, Flags, i64)],
) -> Answer {
    let keywords: Vec<Vec<&str>> = bodies
        .iter()
        .map(|(_, _, flags, _)| flags.keywords.iter().map(Keyword::as_str).collect())
        .collect();
    let mails: Vec<Mail<'_>> = bodies
        .iter()
        .zip(&keywords)
        .map(|((body, cuts, flags, date), keywords)| Mail {
            account,
            mailbox,
            prefix: &[],
            body,
            cuts: cuts.as_ref(),
            date: *date,
            flags: index_format::Flags(flags.system.0),
            keywords,
        })
        .collect();
    let (position, results) = store.save(&mails, session);
    let mut uids = UidSet::new();
    let mut uidvalidity = 0;
    for result in results {
        match result {
            Ok(saved) => {
                uids.push(Uid(saved.uid));
                uidvalidity = saved.uidvalidity;
            }
            Err(error) => return refusal(&error, true),
        }
    }
    Answer::Appended { uidvalidity: UidValidity(uidvalidity), uids, position: Position(position) }
}
