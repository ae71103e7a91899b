//! Brings together what is left of a mailbox whose log is damaged in the middle.
//!
//! What counts is applied as every reader does. What stands behind a gap is applied where it is certain what it meant:
//! - A flag, keyword or expunge names messages by UID, and a UID is one message for ever: so what it says of a message
//!   that is known is so.
//! - An append names its message by map id; its UID follows from how many came before. How many the gap held is known
//!   when the next file's header says how far UIDNEXT was, or when the anchor of the first append behind it fits one
//!   number alone that a gap of so many bytes has room for. Every other anchor must fit, too; else the UIDs are not
//!   known, the messages are kept under others, and what is said by UID of messages behind the gap is left out.
//!
//! **The result is no mailbox that clients have seen**: what the gap changed is not in it, and its modseqs are not those
//! they were told. It is for a mailbox with another UIDVALIDITY.

use super::Mailbox;
use crate::log::{Frame, Gap, Header, Survey};
use crate::record::{Append, Prefix, Record, Transaction};
use crate::snapshot::Position;
use crate::{Keywords, Uid, UidSet};

/// What could be brought together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Salvaged {
    /// The state; see the module's words on what it is not. Keywords whose names are lost are called
    /// [`UNKNOWN_KEYWORD`] and their number.
    pub mailbox: Mailbox,
    /// What is not in it, in the order of the log.
    pub lost: Vec<Lost>,
    /// UIDs under which a message may stand that had another one.
    unsure: UidSet,
}

/// What a damaged part of a log file covered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lost {
    /// The file's number; that of the last one, where whole files are missing.
    pub file: u32,
    /// The places; several in one file are looked at together. None where whole files are missing.
    pub gaps: Vec<Gap>,
    /// The number of the first transaction that is missing.
    pub first: u64,
    /// How many are missing, where something says so.
    pub transactions: Option<u64>,
    /// The UIDs that were given by those: first and last. None were, or it is not known ([`Self::certain`]).
    pub uids: Option<(Uid, Uid)>,
    /// Whether the UIDs of the messages behind are certain.
    pub certain: bool,
    /// Whole transactions behind, as many as were applied.
    pub applied: u64,
    /// Records behind that were left out, since it is not certain what they meant.
    pub left_out: u64,
}

/// What a keyword is called whose name is lost; its number follows.
pub const UNKNOWN_KEYWORD: &str = "\u{fffd}";

impl Salvaged {
    /// Goes on from `mailbox`, which is the state at `from`, with the files of its log from that position's on that have
    /// a header: header and bytes, ascending.
    pub fn new(mailbox: Mailbox, from: Position, chain: &[(Header, &[u8])]) -> Salvaged {
        let mut this = Salvaged { mailbox, lost: Vec::new(), unsure: UidSet::new() };
        let mut nexts = chain.iter().skip(1);
        for (header, bytes) in chain {
            let next = nexts.next().map(|(next, _)| next);
            let next = next.filter(|next| next.previous.is_some_and(|it| it.file == header.file));
            let (start, number) = if header.file == from.file && from.offset > 0 {
                (from.offset, from.transactions)
            } else {
                this.begin(header);
                (Header::LEN as u64, header.first_transaction)
            };
            this.file(&Survey::new(bytes, (header, start, number), next), (header, number), next);
        }
        this
    }

    /// A file begins, whatever the one before it has lost.
    fn begin(&mut self, header: &Header) {
        let (known, uidnext) = (self.mailbox.transactions, self.mailbox.uidnext);
        let told = self
            .lost
            .last()
            .is_some_and(|lost| header.previous.is_some_and(|previous| previous.file == lost.file));
        if known < header.first_transaction && !told {
            // Whole files are missing, or their headers are.
            self.lost.push(Lost {
                file: header.previous.map_or(0, |previous| previous.file),
                gaps: Vec::new(),
                first: known,
                transactions: Some(header.first_transaction - known),
                uids: (header.uidnext > uidnext).then(|| (uidnext, Uid(header.uidnext.0 - 1))),
                certain: true,
                applied: 0,
                left_out: 0,
            });
        }
        if header.uidnext >= self.mailbox.uidnext {
            self.unsure.remove_range(header.uidnext..=Uid(u32::MAX));
        }
        self.mailbox.transactions = header.first_transaction;
        self.mailbox.begin_file(header).expect("the number it starts with was just set");
    }

    fn file(
        &mut self,
        survey: &Survey<'_>,
        (header, number): (&Header, u64),
        next: Option<&Header>,
    ) {
        let mut refused = None;
        for (done, frame) in survey.frames.iter().enumerate() {
            let transaction = Transaction::decode(frame.payload, frame.start);
            if !transaction.is_ok_and(|transaction| self.follow(transaction)) {
                refused = Some(done);
                break;
            }
        }
        if refused.is_none() && survey.gaps.is_empty() {
            return;
        }
        // A frame that checks out and does not follow is damage that checksums don't see: what is behind it is too.
        let followed = refused.unwrap_or(survey.frames.len());
        let behind: Vec<Frame<'_>> =
            survey.frames.iter().skip(followed + 1).chain(&survey.behind).copied().collect();
        let mut lost = Lost {
            file: header.file,
            gaps: survey.gaps.clone(),
            first: number + followed as u64,
            transactions: survey.missing,
            uids: None,
            certain: false,
            applied: 0,
            left_out: 0,
        };
        if let Some(frame) = refused.and_then(|at| survey.frames.get(at)) {
            let gap =
                Gap { at: frame.start, len: frame.end - frame.start, why: crate::log::Torn::Sync };
            lost.gaps.insert(0, gap);
            lost.transactions = survey.missing.map(|missing| missing + 1);
        }
        self.behind(&behind, next, &mut lost);
        self.lost.push(lost);
    }

    /// One transaction that counts; whether it follows.
    fn follow(&mut self, mut transaction: Transaction) -> bool {
        if let Some(lost) = self.lost.len().checked_sub(1) {
            let (certain, left_out) = self.certain_part(transaction);
            if let Some(lost) = self.lost.get_mut(lost) {
                lost.left_out += left_out;
            }
            transaction = certain;
        }
        self.mailbox.apply(&transaction).is_ok()
    }

    /// What stands behind a gap.
    fn behind(&mut self, frames: &[Frame<'_>], next: Option<&Header>, lost: &mut Lost) {
        let mut transactions = Vec::new();
        for frame in frames {
            match Transaction::decode(frame.payload, frame.start) {
                Ok(transaction) => transactions.push(transaction),
                Err(_) => lost.left_out += 1,
            }
        }
        let known = self.mailbox.uidnext;
        let room = lost.gaps.iter().map(|gap| gap.len).sum();
        let base = base(known, &transactions, next, room);
        lost.certain = base.is_some();
        match base {
            Some(base) if base > known => {
                lost.uids = Some((known, Uid(base.0 - 1)));
                self.mailbox.uidnext = base;
            }
            Some(_) => {}
            None => self.unsure.insert_range(known..=Uid(u32::MAX)),
        }
        for transaction in transactions {
            let (transaction, left_out) = self.certain_part(transaction);
            lost.left_out += left_out;
            match self.mailbox.apply(&transaction) {
                Ok(_) => lost.applied += 1,
                Err(_) => lost.left_out += transaction.records.len() as u64,
            }
        }
    }

    /// The transaction without what is not certain: its place in the numbering, and what it says of UIDs that are not. The
    /// names of its keywords are given at once.
    fn certain_part(&mut self, transaction: Transaction) -> (Transaction, u64) {
        let mut left_out = 0;
        let mut records = Vec::new();
        for mut record in transaction.records {
            match &mut record {
                Record::KeywordDefine { number, name } => {
                    self.name(*number, name);
                    continue;
                }
                Record::Append(append) => {
                    (append.anchor, append.uid) = (None, None);
                    self.number_up_to(append.keywords);
                }
                Record::FlagsReplace { keywords, .. } => self.number_up_to(*keywords),
                Record::KeywordAdd { number, .. } | Record::KeywordRemove { number, .. } => {
                    self.number_up_to(Keywords::one(*number));
                }
                Record::FlagsAdd { .. }
                | Record::FlagsRemove { .. }
                | Record::Expunge(_)
                | Record::SaveDate { .. }
                | Record::UidValidity(_)
                | Record::UidNext(_)
                | Record::Metadata { .. }
                | Record::PrivateFlags { .. }
                | Record::Void(_)
                | Record::Tombstone(_) => {}
            }
            if let Some(uids) = uids_of(&mut record).filter(|_| !self.unsure.is_empty()) {
                let certain = uids.difference(&self.unsure);
                left_out += u64::from(certain.len() < uids.len());
                *uids = certain;
                if uids.is_empty() {
                    continue;
                }
            }
            records.push(record);
        }
        (Transaction { prefix: Prefix::default(), records }, left_out)
    }

    /// Gives every keyword a name up to the highest of these: a gap may have held the true ones.
    fn number_up_to(&mut self, keywords: Keywords) {
        let Some(highest) = keywords.iter().max() else { return };
        while self.mailbox.keywords.len() <= usize::from(highest) {
            let name = format!("{UNKNOWN_KEYWORD}{}", self.mailbox.keywords.len());
            self.mailbox.keywords.push(&name);
        }
    }

    /// A keyword is given its name, or it is said again.
    fn name(&mut self, number: u8, name: &str) {
        if let Some(before) = number.checked_sub(1) {
            self.number_up_to(Keywords::one(before));
        }
        match self.mailbox.keywords.name(number) {
            None => {
                self.mailbox.keywords.push(name);
            }
            Some(known) if known.starts_with(UNKNOWN_KEYWORD) => {
                self.mailbox.keywords.rename(number, name);
            }
            Some(_) => {}
        }
    }
}

/// The UIDs that a record is about, where it is about messages that are there.
fn uids_of(record: &mut Record) -> Option<&mut UidSet> {
    match record {
        Record::FlagsAdd { uids, .. }
        | Record::FlagsRemove { uids, .. }
        | Record::FlagsReplace { uids, .. }
        | Record::KeywordAdd { uids, .. }
        | Record::KeywordRemove { uids, .. }
        | Record::Expunge(uids)
        | Record::SaveDate { uids, .. }
        | Record::PrivateFlags { uids, .. }
        | Record::Void(uids) => Some(uids),
        Record::Append(_)
        | Record::KeywordDefine { .. }
        | Record::UidValidity(_)
        | Record::UidNext(_)
        | Record::Metadata { .. }
        | Record::Tombstone(_) => None,
    }
}

/// The UID of the first append behind a gap of `room` bytes before which UIDNEXT was `known`, if it is certain.
fn base(known: Uid, transactions: &[Transaction], next: Option<&Header>, room: u64) -> Option<Uid> {
    let records = || transactions.iter().flat_map(|transaction| &transaction.records);
    // UIDs that don't follow from their place: who writes such a log has said them elsewhere, too.
    let moved = |record: &Record| {
        matches!(
            record,
            Record::Append(Append { uid: Some(_), .. })
                | Record::UidNext(_)
                | Record::Void(_)
                | Record::Tombstone(_)
        )
    };
    if records().any(moved) {
        return None;
    }
    let anchors: Vec<Option<u8>> = records()
        .filter_map(|record| if let Record::Append(it) = record { Some(it.anchor) } else { None })
        .collect();
    let behind = u32::try_from(anchors.len()).ok()?;
    let by_header = match next {
        Some(next) => {
            Some(Uid(next.uidnext.0.checked_sub(behind).filter(|&base| base >= known.0)?))
        }
        None => None,
    };
    let by_anchor = anchors.iter().zip(0u32..).find_map(|(anchor, place)| {
        let first = (*anchor)?.wrapping_sub(place as u8);
        Some(Uid(known.0 + u32::from(first.wrapping_sub(known.0 as u8))))
    });
    let by_anchor = by_anchor.filter(|_| room / APPEND_LEAST < 256);
    // Nothing was appended behind: then no UID behind is meant that is not known.
    let base = by_header.or(by_anchor).or((behind == 0).then_some(known))?;
    let fits = |(anchor, place): (&Option<u8>, u32)| {
        anchor.is_none_or(|anchor| anchor == base.0.wrapping_add(place) as u8)
    };
    anchors.iter().zip(0u32..).all(fits).then_some(base)
}

/// The fewest bytes of an appended message: map id, date, size.
const APPEND_LEAST: u64 = 3;
