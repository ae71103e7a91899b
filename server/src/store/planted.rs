//! Known faults that the crash tests must find: a tester that finds none of them proves nothing.
//!
//! Outside tests every question is answered `false` at compile time.

/// A fault that can be planted; what each leaves out or does wrong stands at its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(not(test), allow(dead_code, reason = "planted by tests only"))]
pub(crate) enum Planted {
    /// The journal is written but not synced before replies leave.
    NoJournalSync,
    /// A new segment's directory entry is not synced.
    NoSegmentDirSync,
    /// The next segment's header names a wrong end of the one before.
    SegmentEndAhead,
    /// Logs and containers are not synced before the journal that covers them is removed.
    NoCheckpointSync,
    /// The journal is removed before the checkpoint's sync.
    RetireBeforeSync,
    /// A snapshot is renamed into place before it is synced.
    RenameBeforeSync,
    /// A snapshot replaces both generations at once, and the logs they need.
    OneGeneration,
    /// A snapshot names a log position past what the log holds.
    SnapshotAhead,
    /// Replies leave when a change is queued, not when it is durable.
    ReplyBeforeDurable,
    /// Replay applies a part whatever the log already holds.
    ReplayTwice,
    /// Replay stops at the first part that the log already holds.
    ReplayStopsEarly,
    /// Frames are appended behind a torn one.
    AppendBehindTear,
    /// A log's next file is begun before the one before is synced.
    RotateUnsynced,
    /// A short write is continued as if it were whole.
    ContinueShortWrite,
    /// A deleted mailbox's files go at once, before a checkpoint has covered its deletion.
    UnlinkEarly,
    /// References are journalled in a record of their own, before what refers.
    ReferenceApart,
    /// The body of a message is left out of the journal.
    BodyNotJournalled,
    /// A container's file goes at once, before a checkpoint has covered that it is dropped.
    DropBeforeCheckpoint,
    /// A large message is renamed into place without a sync.
    LargeBodyNotSynced,
    /// Messages are compressed with a dictionary whose files are not synced.
    DictionaryUnsynced,
    /// After a failed sync what can be read is taken for durable.
    BelieveCache,
    /// A failed sync is answered OK.
    FailedSyncIsOk,
    /// What may have been told and forgotten raises no epoch.
    SameEpoch,
    /// What was told before its sync is written to its files before it, too.
    ApplyUnsynced,
    /// What was told before a sync failed is not written again.
    ForgetTold,
    /// An attachment's content is not synced before the journal names it.
    ContentNotSynced,
    /// An account's link to a content is not synced before the journal names it.
    LinkNotSynced,
    /// A link goes before a checkpoint has covered that nobody needs it.
    LinkGoesEarly,
    /// What needs a link is counted from when the account was loaded, instead of derived from its map.
    BareCounter,
    /// A stop takes the journal away whose changes are not in their files.
    RetireBacklog,
    /// Files that are being copied go with a checkpoint.
    GarbageWhileFrozen,
    /// Snapshots are written of an account whose files are being copied.
    SnapshotWhileFrozen,
    /// What is under way is not waited for.
    FrozenAtOnce,
    /// A generation is there, and all that is noted before, without a sync of what it names.
    GenerationBeforeSync,
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Planted>> = const { std::cell::Cell::new(None) };
}

/// Whether `fault` is planted in this thread.
#[cfg(test)]
pub(crate) fn planted(fault: Planted) -> bool {
    PLANTED.with(|cell| cell.get() == Some(fault))
}

/// Whether `fault` is planted: never, outside tests.
#[cfg(not(test))]
pub(crate) const fn planted(_: Planted) -> bool {
    false
}

/// Plants `fault` in this thread, or none.
#[cfg(test)]
pub(crate) fn plant(fault: Option<Planted>) {
    PLANTED.with(|cell| cell.set(fault));
}

#[cfg(test)]
impl Planted {
    /// Those that a crash in a short history can show.
    pub(crate) const CRASH: [Self; 13] = [
        Self::NoJournalSync,
        Self::NoSegmentDirSync,
        Self::NoCheckpointSync,
        Self::RetireBeforeSync,
        Self::SnapshotAhead,
        Self::ReplyBeforeDurable,
        Self::ReplayTwice,
        Self::ReplayStopsEarly,
        Self::AppendBehindTear,
        Self::RotateUnsynced,
        Self::ReferenceApart,
        Self::BodyNotJournalled,
        Self::LargeBodyNotSynced,
    ];
    /// Those of attachments.
    pub(crate) const ATTACHMENTS: [Self; 4] =
        [Self::ContentNotSynced, Self::LinkNotSynced, Self::LinkGoesEarly, Self::BareCounter];
    /// Those that a backup can show.
    pub(crate) const BACKUP: [Self; 4] = [
        Self::GarbageWhileFrozen,
        Self::SnapshotWhileFrozen,
        Self::FrozenAtOnce,
        Self::GenerationBeforeSync,
    ];
    /// Those that only an error of the disk can show.
    pub(crate) const FAULT: [Self; 4] =
        [Self::ContinueShortWrite, Self::FailedSyncIsOk, Self::BelieveCache, Self::SegmentEndAhead];
    /// Those that break what is needed only after much else has happened.
    pub(crate) const LONG: [Self; 2] = [Self::RenameBeforeSync, Self::UnlinkEarly];
}
