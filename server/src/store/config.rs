//! What an operator may set about a store, and the bounds it keeps.

/// Settings of a store. Every field is a bound or a choice with its default in [`StoreConfig::default`].
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Bytes of one journal segment, zeroed ahead of its use.
    pub segment_size: u64,
    /// Longest time in milliseconds that a commit waits for sessions which are still taking in a change.
    pub group_wait_ms: u64,
    /// Most bytes of records in one group; what is beyond waits for the next.
    pub group_bytes: usize,
    /// Journal bytes after which a checkpoint is due.
    pub checkpoint_bytes: u64,
    /// Milliseconds after which a checkpoint is due, if anything was written.
    pub checkpoint_ms: u64,
    /// Files touched since the last checkpoint after which the next is due; bounds recovery.
    pub checkpoint_files: usize,
    /// Milliseconds after which accounts and mailboxes that nobody uses leave memory; they do within twice that.
    pub idle_ms: u64,
    /// A message up to this many bytes is gathered in memory and journalled; a larger one streams to a
    /// container of its own.
    pub gather_max: usize,
    /// Bytes after which an account begins its next container; with 0 each message has one of its own.
    pub container_size: u64,
    /// zstd's level for messages; `None` stores them as they come.
    pub compression: Option<i32>,
    /// Whether small messages are compressed with what the store's messages have in common, once that is learnt.
    pub dictionaries: bool,
    /// Bytes of mail that a dictionary is learnt from.
    pub dictionary_samples: usize,
    /// Log bytes since the last snapshot after which a snapshot is written at the next checkpoint, unless
    /// the snapshot itself is larger than four times that. Of a mailbox, since its last snapshot or overlay.
    pub snapshot_after: u64,
    /// How long an overlay may be, in percent of its mailbox's snapshot, before the snapshot is written anew.
    pub overlay_percent: u64,
    /// Bytes after which a log goes on in its next file, at a checkpoint.
    pub log_size: u64,
    /// Bytes a second that compaction writes at most, unasked; 0 leaves it to those who ask.
    pub compaction_rate: u64,
    /// What becomes of large base64 parts of messages that come in.
    pub attachments: Attachments,
    /// Bytes of decoded content from which on a part is stored apart.
    pub attachment_least: u64,
    /// How contents of one hash are held against each other before accounts share them.
    pub attachment_compare: Compared,
    /// Milliseconds that a content is kept after the last message that needs it has gone.
    pub attachment_grace_ms: u64,
    /// Milliseconds for which expunged mail can be brought back; compaction leaves it that long.
    pub undelete_ms: u64,
    /// Largest message accepted, bytes.
    pub message_max: u64,
    /// Free bytes below which new mail is refused before its text is taken.
    pub reserve: u64,
    /// Open files kept for reading and appending.
    pub open_files: usize,
    /// Bytes of cache files kept in memory, of all accounts; 0 turns the cache off. A fourth of it comes on top for what
    /// SORT and THREAD came to, and half of it for threads that are kept.
    pub cache_memory: usize,
    /// Messages in a mailbox from which on its threads are kept; fewer are threaded as quickly from the cache.
    pub threads_from: usize,
    /// Bytes of cache rows that wait in memory to be written; when there are more, new ones are left out.
    pub cache_unwritten: usize,
    /// Bytes of cache rows of neighbouring messages that are worth being taken apart, so that what is read together lies
    /// together; fewer are kept as they came.
    pub cache_apart: u64,
    /// Whether a change is synced before it is told. Otherwise only what the system still writes is told: it survives the
    /// end of this process, but of the last second before a power failure nothing need be there.
    pub sync_commits: bool,
    /// Whether changes of flags alone are told before they are synced.
    pub defer_flags: bool,
    /// Milliseconds after which what was told before it was synced is synced.
    pub defer_ms: u64,
    /// Mailboxes made with an account, with their special use (RFC 6154); INBOX is always made.
    pub default_mailboxes: Vec<(String, SpecialUse)>,
}

/// How large base64 parts of messages are stored, which those have that come in from now on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attachments {
    /// Apart, decoded, one file for each content, which all accounts share that have it.
    Shared,
    /// The same, but accounts share contents only where one delivery brought them to several.
    Apart,
    /// In their messages, as they came.
    Whole,
}

/// How two contents of the same hash are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compared {
    /// Byte by byte: so no damaged copy takes the place of a good one.
    Content,
    /// By their lengths.
    Length,
}

/// Special use of a mailbox (RFC 6154 §2), as far as Loft makes such mailboxes itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpecialUse {
    /// `\Drafts`
    Drafts,
    /// `\Sent`
    Sent,
    /// `\Junk`
    Junk,
    /// `\Trash`
    Trash,
    /// `\Archive`
    Archive,
}

impl Default for StoreConfig {
    fn default() -> Self {
        let special = |name: &str, kind| (name.to_owned(), kind);
        Self {
            segment_size: 16 << 20,
            group_wait_ms: 2,
            group_bytes: 8 << 20,
            checkpoint_bytes: 64 << 20,
            checkpoint_ms: 30_000,
            checkpoint_files: 4096,
            idle_ms: 300_000,
            gather_max: 128 << 10,
            container_size: 64 << 20,
            compression: Some(3),
            dictionaries: true,
            dictionary_samples: 6 << 20,
            snapshot_after: 256 << 10,
            overlay_percent: 12,
            log_size: 1 << 20,
            compaction_rate: 32 << 20,
            attachments: Attachments::Shared,
            attachment_least: 64 << 10,
            attachment_compare: Compared::Content,
            attachment_grace_ms: 3_600_000,
            undelete_ms: 7 * 86_400_000,
            message_max: 512 << 20,
            reserve: 128 << 20,
            open_files: 4096,
            cache_memory: 64 << 20,
            threads_from: 64,
            cache_unwritten: 8 << 20,
            cache_apart: 64 << 10,
            sync_commits: true,
            defer_flags: false,
            defer_ms: 500,
            default_mailboxes: vec![
                special("Drafts", SpecialUse::Drafts),
                special("Sent", SpecialUse::Sent),
                special("Junk", SpecialUse::Junk),
                special("Trash", SpecialUse::Trash),
                special("Archive", SpecialUse::Archive),
            ],
        }
    }
}
