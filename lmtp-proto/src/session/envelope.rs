//! MAIL and RCPT: the envelope of a transaction.

use super::{Question, Session, State};
use crate::answer::{Answer, Refusal};
use crate::ask::{Ask, BodyKind, RecipientId, Ticket};
use crate::command::{self, Parameters};
use crate::fault::Fault;
use crate::{Path, PathError, Time};

/// From MAIL to the last reply of its text.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) sender: Option<Path>,
    pub(super) size: Option<u64>,
    pub(super) body: BodyKind,
    pub(super) utf8: bool,
    /// Those accepted; empty again once the store has them, when `replies` counts them.
    pub(super) recipients: Vec<RecipientId>,
    /// How many replies the text will get (RFC 2033 §4.2).
    pub(super) replies: usize,
    asked: u32,
    pub(super) chunks: Chunks,
}

/// What BDAT has brought so far.
#[derive(Debug)]
pub(super) enum Chunks {
    /// Not used in this transaction.
    None,
    /// So many octets, for this [`Ask::BodyOpen`].
    Open { ticket: Ticket, taken: u64 },
    /// A chunk failed: further ones are read, dropped and refused alike (RFC 3030 §2).
    Refused(Refusal),
}

impl Transaction {
    pub(super) fn held(&self) -> usize {
        let path =
            self.sender.as_ref().map_or(0, |sender| sender.text().len() + sender.local().len());
        path + self.recipients.capacity() * size_of::<RecipientId>()
    }

    pub(super) fn has_open_body(&self) -> bool {
        matches!(self.chunks, Chunks::Open { .. })
    }
}

impl Session {
    pub(super) fn on_mail(&mut self, now: Time, arguments: &[u8]) -> Result<(), Fault> {
        self.need_lhlo()?;
        if self.transaction.is_some() {
            return Err(Fault::NestedMail);
        }
        let arguments = command::behind(arguments, b"FROM:")?;
        // Whether the path may be UTF-8 is said behind it, so it is read as if it might.
        let (sender, rest) = Path::parse(arguments, true).map_err(sender_fault)?;
        let parameters = Parameters::parse(rest, self.config.utf8, self.config.binary)?;
        if !parameters.utf8 && sender.as_ref().is_some_and(|sender| !sender.text().is_ascii()) {
            return Err(Fault::SenderNotAscii);
        }
        // RFC 1870 §6.1: refused here, the text need not come.
        if parameters.size.is_some_and(|size| size > self.message_max()) {
            return Err(Fault::DeclaredTooLarge);
        }
        self.transaction = Some(Transaction {
            sender,
            size: parameters.size,
            body: parameters.body.unwrap_or_default(),
            utf8: parameters.utf8,
            recipients: Vec::new(),
            replies: 0,
            asked: 0,
            chunks: Chunks::None,
        });
        self.say(now, "250 2.1.0 Sender noted");
        Ok(())
    }

    pub(super) fn on_rcpt(&mut self, arguments: &[u8]) -> Result<(), Fault> {
        self.need_lhlo()?;
        let allowed = self.config.limits.recipients;
        let transaction = self.transaction.as_mut().ok_or(Fault::MailFirst)?;
        if !matches!(transaction.chunks, Chunks::None) {
            return Err(Fault::NotAfterChunk);
        }
        let arguments = command::behind(arguments, b"TO:")?;
        let (path, rest) = Path::parse(arguments, transaction.utf8).map_err(recipient_fault)?;
        let path = path.ok_or(Fault::RecipientSyntax)?;
        if !rest.is_empty() {
            return Err(if rest.starts_with(b" ") {
                Fault::UnknownParameter
            } else {
                Fault::RecipientSyntax
            });
        }
        if transaction.recipients.len() >= allowed {
            return Err(Fault::TooManyRecipients);
        }
        let id = RecipientId(transaction.asked);
        transaction.asked = transaction.asked.saturating_add(1);
        let size = transaction.size;
        self.ask(Ask::Recipient { id, path, size }, Question::Recipient(id));
        Ok(())
    }

    pub(super) fn on_recipient(&mut self, now: Time, id: RecipientId, answer: Answer) {
        self.state = State::Command;
        match (answer, self.transaction.as_mut()) {
            (Answer::Accepted, Some(transaction)) => {
                transaction.recipients.push(id);
                transaction.replies += 1;
                self.say(now, "250 2.1.5 Recipient noted");
            }
            (Answer::Refused(refusal), _) => self.refuse(now, &refusal),
            (Answer::Accepted | Answer::Proceed | Answer::Delivered { .. }, _) => {
                self.refuse(now, &Refusal::TROUBLE)
            }
        }
    }

    /// The largest message, in octets.
    pub(super) fn message_max(&self) -> u64 {
        match self.config.limits.message {
            0 => u64::MAX,
            max => max,
        }
    }
}

fn sender_fault(error: PathError) -> Fault {
    match error {
        PathError::NotAscii { .. } => Fault::SenderNotAscii,
        PathError::Syntax { .. } | PathError::EmptyLocal | PathError::TooLong { .. } => {
            Fault::SenderSyntax
        }
    }
}

fn recipient_fault(error: PathError) -> Fault {
    match error {
        PathError::NotAscii { .. } => Fault::RecipientNotAscii,
        PathError::Syntax { .. } | PathError::EmptyLocal | PathError::TooLong { .. } => {
            Fault::RecipientSyntax
        }
    }
}
