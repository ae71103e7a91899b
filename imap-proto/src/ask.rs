//! What a session asks of the store, and what it is answered.
//!
//! Everything here is data: the session has never seen a mailbox, the store has never seen a line of IMAP.

mod code;

pub use code::Code;

use std::borrow::Cow;
use std::sync::Arc;

use crate::date::DateTime;
use crate::fetch::{FetchItems, Piece};
use crate::search::Program;
use crate::sort::Order;
use crate::thread::{Algorithm, Threads};
use crate::types::{
    Cursor, FlagRow, Flags, Keyword, MailboxId, MailboxName, ModSeq, Position, Secret, Seq,
    SpecialUse, Uid, UidSet, UidValidity,
};

/// A question to the store. One at a time is open, except [`Ask::AppendAbort`] and [`Ask::Unselect`], which are
/// orders whose [`Answer::Done`] may be left out.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Whether this user has this password; user names are bytes as they came, to be shown escaped only.
    /// Answered by [`Answer::LoggedIn`].
    Login {
        /// The name to log in with.
        user: Vec<u8>,
        /// The password.
        password: Secret,
    },
    /// All mailboxes and subscriptions. Answered by [`Answer::Names`].
    Names,
    /// Counters of a mailbox without selecting it. Answered by [`Answer::Status`].
    Status {
        /// Which mailbox.
        mailbox: MailboxName,
        /// Which counters are wanted; others may be left 0.
        items: StatusItems,
    },
    /// Opens a mailbox; any other is closed first. Answered by [`Answer::Selected`].
    Select {
        /// Which mailbox.
        mailbox: MailboxName,
        /// For reading only (EXAMINE).
        examine: bool,
    },
    /// Gives the view of the selected mailbox back, without expunging.
    Unselect,
    /// Makes a mailbox, parents as needed. Answered by [`Answer::Created`].
    Create {
        /// Its name.
        mailbox: MailboxName,
        /// What it is for (RFC 6154 §3).
        special_use: Vec<SpecialUse>,
    },
    /// Deletes a mailbox and its mail, not its children. Answered by [`Answer::Done`].
    Delete {
        /// Its name.
        mailbox: MailboxName,
    },
    /// Renames a mailbox with its children; INBOX is emptied into the new one instead (RFC 3501 §6.3.5).
    /// Answered by [`Answer::Done`].
    Rename {
        /// The name it has.
        from: MailboxName,
        /// The name it gets.
        to: MailboxName,
    },
    /// Subscribes or unsubscribes a name, whether or not the mailbox exists. Answered by [`Answer::Done`].
    Subscribe {
        /// The name.
        mailbox: MailboxName,
        /// `true` subscribes.
        on: bool,
    },
    /// A message is about to be appended: asked before `+` is said. [`Answer::Proceed`] starts the
    /// [`Output::Body`](crate::Output::Body) runs under this question's ticket; [`Answer::No`] refuses it, and may
    /// also come later, while the body runs.
    AppendOpen {
        /// Where to.
        mailbox: MailboxName,
        /// The flags it gets.
        flags: Flags,
        /// Its internal date; `None` means now.
        date: Option<DateTime>,
        /// Its exact size in bytes.
        size: u64,
        /// It came as literal8 and may hold NUL (RFC 3516).
        binary: bool,
        /// The first message of its command; the next ones of a MULTIAPPEND (RFC 3502) say `false`.
        first: bool,
    },
    /// All messages of the APPEND are complete: save all or none. Answered by [`Answer::Appended`].
    AppendCommit,
    /// Forget the messages of the APPEND that was begun. No answer is awaited.
    AppendAbort,
    /// The next rows of a FETCH. Answered by [`Answer::Rows`].
    Fetch(FetchAsk),
    /// Changes flags. Answered by [`Answer::Stored`].
    Store {
        /// Which messages; all in the view.
        uids: UidSet,
        /// What to do with `flags`.
        action: StoreAction,
        /// The flags named.
        flags: Flags,
        /// Whose flags are to be told.
        rows: StoredRows,
        /// Leave alone what changed after this (RFC 7162 §3.1.3).
        unchanged_since: Option<ModSeq>,
    },
    /// Copies or moves messages, all or none. Answered by [`Answer::Copied`].
    Copy {
        /// Which messages; all in the view.
        uids: UidSet,
        /// Where to.
        mailbox: MailboxName,
        /// MOVE (RFC 6851): they leave the selected mailbox in the same transaction.
        moving: bool,
        /// They were named by sequence number, so each of them is there for the client: one that is gone refuses the
        /// command (RFC 3501 §6.4.7). A UID whose message is gone is left out (§6.4.8).
        exact: bool,
    },
    /// Expunges messages that are `\Deleted`. Answered by [`Answer::Done`]; the session then asks for
    /// [`Ask::Changes`].
    Expunge {
        /// Only these (UID EXPUNGE, RFC 4315 §2.1); `None` means all in the mailbox.
        uids: Option<UidSet>,
    },
    /// Finds messages in the session's view. Answered by [`Answer::Found`].
    Search {
        /// What to find; sequence numbers are already UIDs.
        program: Arc<Program>,
    },
    /// Finds messages as [`Ask::Search`] does, and sorts them (RFC 5256 §3). A store may take what they are sorted by
    /// from wherever it has it. Answered by [`Answer::Sorted`].
    Sort {
        /// What to find.
        program: Arc<Program>,
        /// What to sort them by.
        order: Arc<Order>,
    },
    /// Finds messages as [`Ask::Search`] does, and puts them together into threads (RFC 5256 §3). A store that keeps
    /// threads may answer from these. Answered by [`Answer::Threaded`].
    Thread {
        /// What to find; nothing that is not in the session's view.
        program: Arc<Program>,
        /// How to put them together.
        algorithm: Algorithm,
    },
    /// Finds messages whose mod-sequence is above one (RFC 7162 §3.1.4.1, CHANGEDSINCE). Answered by
    /// [`Answer::Found`].
    ChangedSince {
        /// Among these; all in the view.
        uids: UidSet,
        /// Above this.
        modseq: ModSeq,
    },
    /// What happened to the selected mailbox since `cursor`. Answered by [`Answer::Changes`].
    Changes {
        /// Where the last answer ended.
        cursor: Cursor,
        /// Whether expunged messages may be named now; if not they are named by a later answer.
        may_shrink: bool,
    },
}

/// What STORE does with the flags it names (RFC 3501 §6.4.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreAction {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

/// The messages whose flags STORE is answered with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoredRows {
    /// None: the client knows.
    None,
    /// Those that really changed: a client that keeps mod-sequences wants the new ones.
    Changed,
    /// All that were named, those left alone because of `unchanged_since` included.
    All,
}

/// The next rows of a FETCH.
#[derive(Clone, Debug)]
pub struct FetchAsk {
    /// The next messages, at most [`FetchAsk::MAX`] of them, ascending.
    pub runs: Vec<Run>,
    /// What to show of each.
    pub items: Arc<FetchItems>,
    /// Rows that also show FLAGS, because `\Seen` was just set on them.
    pub also_flags: UidSet,
    /// What rows in `also_flags` show instead of `items`: the same, and what a change of flags is told with
    /// (RFC 7162 §3.2.4). It needs nothing that `items` does not.
    pub seen_items: Arc<FetchItems>,
    /// Stop after the message whose row makes the answer reach this many bytes; large bodies count as nothing when
    /// they are given as a blob.
    pub budget: usize,
    /// The command was UID FETCH: every row shows its UID.
    pub by_uid: bool,
    /// Messages that show `\Recent`; none once IMAP4rev2 is enabled.
    pub recent: Arc<UidSet>,
}

impl FetchAsk {
    /// The most messages one question names.
    pub const MAX: u32 = 1024;

    /// How many it names.
    #[must_use]
    pub fn named(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.count)).sum()
    }

    /// What the row of `uid` shows, and whether FLAGS come on top.
    #[must_use]
    pub fn items_of(&self, uid: Uid) -> (&FetchItems, bool) {
        let seen = self.also_flags.contains(uid);
        (if seen { &self.seen_items } else { &self.items }, seen)
    }
}

/// Messages whose sequence numbers and UIDs both follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Run {
    /// The first one's sequence number.
    pub seq: Seq,
    /// The first one's UID.
    pub uid: Uid,
    /// How many; at least 1.
    pub count: u32,
}

/// Which counters STATUS wants.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StatusItems(pub u16);

impl StatusItems {
    /// MESSAGES
    pub const MESSAGES: Self = Self(1);
    /// RECENT
    pub const RECENT: Self = Self(1 << 1);
    /// UIDNEXT
    pub const UIDNEXT: Self = Self(1 << 2);
    /// UIDVALIDITY
    pub const UIDVALIDITY: Self = Self(1 << 3);
    /// UNSEEN
    pub const UNSEEN: Self = Self(1 << 4);
    /// DELETED (RFC 9051 §6.3.11)
    pub const DELETED: Self = Self(1 << 5);
    /// SIZE (RFC 8438)
    pub const SIZE: Self = Self(1 << 6);
    /// HIGHESTMODSEQ (RFC 7162)
    pub const HIGHESTMODSEQ: Self = Self(1 << 7);
    /// MAILBOXID (RFC 8474)
    pub const MAILBOXID: Self = Self(1 << 8);
    /// APPENDLIMIT (RFC 7889); the session knows it.
    pub const APPENDLIMIT: Self = Self(1 << 9);

    /// Each counter that may be asked for with its name on the wire, in the order they are told.
    pub const NAMES: [(Self, &'static str); 10] = [
        (Self::MESSAGES, "MESSAGES"),
        (Self::RECENT, "RECENT"),
        (Self::UIDNEXT, "UIDNEXT"),
        (Self::UIDVALIDITY, "UIDVALIDITY"),
        (Self::UNSEEN, "UNSEEN"),
        (Self::DELETED, "DELETED"),
        (Self::SIZE, "SIZE"),
        (Self::HIGHESTMODSEQ, "HIGHESTMODSEQ"),
        (Self::MAILBOXID, "MAILBOXID"),
        (Self::APPENDLIMIT, "APPENDLIMIT"),
    ];

    /// Whether `item` is wanted.
    #[must_use]
    pub const fn has(self, item: Self) -> bool {
        self.0 & item.0 == item.0
    }
}

/// A mailbox or a subscription, for LIST and LSUB.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameEntry {
    /// Its name.
    pub name: MailboxName,
    /// It can be selected; `false` for a subscription without a mailbox, or a parent without mail.
    pub exists: bool,
    /// Whether it is subscribed.
    pub subscribed: bool,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// Nothing can be created below it.
    pub no_inferiors: bool,
}

/// A question's answer. [`Answer::No`] answers any question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The password is right.
    LoggedIn,
    /// All mailboxes and subscriptions, sorted by name, each name once.
    Names(Arc<[NameEntry]>),
    /// A mailbox's counters.
    Status(Status),
    /// The mailbox is open.
    Selected(Box<Selected>),
    /// It is done, and may be told once `position` is durable.
    Done {
        /// Durable before the reply leaves.
        position: Position,
    },
    /// The mailbox is made.
    Created {
        /// Its GUID.
        mailbox_id: MailboxId,
        /// Durable before the reply leaves.
        position: Position,
    },
    /// The literal may come.
    Proceed,
    /// The messages are saved.
    Appended {
        /// The mailbox's UIDVALIDITY.
        uidvalidity: UidValidity,
        /// Their UIDs, in the order they came.
        uids: UidSet,
        /// Durable before the reply leaves.
        position: Position,
    },
    /// Rows of a FETCH.
    Rows {
        /// The rows, whole lines.
        pieces: Vec<Piece>,
        /// How many messages of the runs these were, those that have no row included; at least 1.
        served: u32,
        /// Durable before they leave.
        position: Position,
    },
    /// The flags are changed.
    Stored(Stored),
    /// The messages are copied or moved.
    Copied {
        /// The target's UIDVALIDITY.
        uidvalidity: UidValidity,
        /// What was copied.
        from: UidSet,
        /// The copies' UIDs, in the same order; as many as `from`.
        to: UidSet,
        /// Durable before the reply leaves.
        position: Position,
    },
    /// What SEARCH or CHANGEDSINCE found.
    Found {
        /// Every match; those not in the session's view are left out by it.
        uids: UidSet,
        /// Their mod-sequences (RFC 7162 §3.1.5).
        modseqs: FoundModSeqs,
    },
    /// What SORT found.
    Sorted {
        /// Every match, in order; those not in the session's view are left out by it.
        uids: Vec<Uid>,
        /// Their mod-sequences, those at the ends of that order (RFC 7162 §3.1.9, §3.1.10).
        modseqs: FoundModSeqs,
    },
    /// What THREAD found.
    Threaded(Arc<Threads>),
    /// What happened to the selected mailbox.
    Changes(Box<Changes>),
    /// It can't be done.
    No {
        /// The response code, if one fits.
        code: Option<Code>,
        /// One line for a human; nothing the peer sent.
        text: Cow<'static, str>,
    },
}

/// Mod-sequences of the messages that were found; 0 where none was.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FoundModSeqs {
    /// The highest of all.
    pub highest: ModSeq,
    /// That of the first message: the one with the lowest UID, or the first in the order asked for.
    pub first: ModSeq,
    /// That of the last message.
    pub last: ModSeq,
}

/// A mailbox's counters.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Status {
    /// Messages in it.
    pub messages: u32,
    /// Messages no session was told of as recent.
    pub recent: u32,
    /// The next message's UID, at least.
    pub uidnext: Uid,
    /// Its UIDVALIDITY.
    pub uidvalidity: UidValidity,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// The sum of the messages' sizes, in bytes.
    pub size: u64,
    /// Its highest modification sequence.
    pub highest_modseq: ModSeq,
    /// Its GUID.
    pub mailbox_id: MailboxId,
}

/// A mailbox that was opened.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selected {
    /// Its GUID.
    pub mailbox_id: MailboxId,
    /// Its UIDVALIDITY.
    pub uidvalidity: UidValidity,
    /// The next message's UID, at least.
    pub uidnext: Uid,
    /// Its highest modification sequence.
    pub highest_modseq: ModSeq,
    /// Every message.
    pub uids: UidSet,
    /// Those recent to this session, and to no other after it (RFC 3501 §2.3.2).
    pub recent: UidSet,
    /// The first message without `\Seen`.
    pub first_unseen: Option<Uid>,
    /// Keywords in use.
    pub keywords: Vec<Keyword>,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// There are mailboxes below it.
    pub has_children: bool,
    /// No change is allowed, although SELECT asked for it.
    pub read_only: bool,
    /// Where [`Ask::Changes`] goes on.
    pub cursor: Cursor,
}

/// Flags that were changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stored {
    /// Durable before the reply leaves, also when nothing changed: that the flags were so already may not be durable
    /// yet.
    pub position: Position,
    /// Messages whose flags are really different now.
    pub changed: UidSet,
    /// Messages left alone because of `unchanged_since`.
    pub modified: UidSet,
    /// Named messages that are no longer there.
    pub gone: UidSet,
    /// The flags of the messages that were asked for, ascending by UID, as they were when the change was made.
    pub rows: Vec<FlagRow>,
    /// All keywords of the mailbox, when the change made new ones.
    pub keywords: Option<Vec<Keyword>>,
}

/// What happened to the selected mailbox.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Where the next question goes on.
    pub cursor: Cursor,
    /// Messages that are gone; empty unless the question allowed it. UIDs the view never had do no harm.
    pub expunged: UidSet,
    /// New messages; all above those known.
    pub added: UidSet,
    /// Those of the new ones that are recent to this session.
    pub recent: UidSet,
    /// Flags that another session changed, ascending by UID.
    pub flags: Vec<FlagRow>,
    /// All keywords of the mailbox, when there are new ones.
    pub keywords: Option<Vec<Keyword>>,
    /// The mailbox's highest modification sequence when all this had happened.
    pub highest_modseq: ModSeq,
    /// Messages are gone that the question did not allow to be named.
    pub withheld: bool,
    /// Durable before any of it leaves.
    pub position: Position,
    /// There is more: ask again at once.
    pub more: bool,
    /// The mailbox is gone (deleted, or made anew): the session ends with BYE.
    pub vanished: bool,
}
