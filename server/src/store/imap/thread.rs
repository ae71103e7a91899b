//! THREAD by what is kept of a mailbox's threads, and what INTHREAD finds.

use super::search::Search;
use super::sort::{Arrange, Arranger, Given};
use super::source::Source;
use crate::slices::{Progress, Slices, Turn};
use crate::store::account::Account;
use crate::store::arranged::Arranged;
use crate::store::error::StoreError;
use crate::store::store::Store;
use crate::store::threads::{Listed, Now, Shelf, Words, fingerprints};
use imap_proto::fetch::{Meta, SourceError};
use imap_proto::search::{Key, Limits, Program};
use imap_proto::thread::{Algorithm, Threader};
use imap_proto::{Answer, Uid, UidSet};
use index_format::Guid;
use index_format::mailbox::Parts;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Messages that are given by what is known of them between two looks at the time.
const LISTED: usize = 1024;

/// Messages on their way to their threads: what is not known of them is read, and kept for the next.
pub(super) struct Threading {
    store: Arc<Store>,
    account: Arc<Account>,
    mailbox: Guid,
    algorithm: Algorithm,
    uids: UidSet,
    stage: Stage,
}

enum Stage {
    /// The mailbox has to be looked at.
    Begin,
    /// These are read, the next one last.
    Lacks(Lacks),
    /// All is known, or nothing is kept.
    Thread(Threader, Listed),
}

struct Lacks {
    shelf: Arc<Shelf>,
    uids: Vec<Uid>,
    /// Those of whom nothing is known but when they came.
    bare: BTreeMap<Uid, i64>,
    /// The last change of the mailbox as it was looked at.
    position: u64,
}

impl Threading {
    pub(super) fn new(search: &Search, algorithm: Algorithm, uids: &UidSet) -> Self {
        Self {
            store: search.store.clone(),
            account: search.account.clone(),
            mailbox: search.guid,
            algorithm,
            uids: uids.clone(),
            stage: Stage::Begin,
        }
    }

    /// What is known of the mailbox, and what isn't.
    fn begin(&self, turn: &Turn<'_>) -> Result<Option<Stage>, StoreError> {
        let plain = || Stage::Thread(Threader::new(self.algorithm, &self.uids), Listed::default());
        let now = {
            let mut state = self.account.lock()?;
            let files = &self.store.files;
            let mbox = self.account.mailbox_with(files, &mut state, self.mailbox, Parts::NONE)?;
            if !self.store.forests.are_kept(mbox.mailbox.len()) {
                return Ok(Some(plain()));
            }
            let uidnext = mbox.mailbox.uidnext().0;
            Now { uids: mbox.uids.clone(), uidnext, position: mbox.position }
        };
        let forests = &self.store.forests;
        let shelf = forests.shelf(self.account.home(), self.mailbox);
        let lacks = forests.follow(&self.store.files, &shelf, (&now, &self.uids), turn.may_wait);
        Ok(match lacks {
            Err(_) => None,
            Ok(None) => Some(plain()),
            Ok(Some(lacks)) => {
                let mut uids: Vec<Uid> = lacks.iter().collect();
                uids.reverse();
                let bare = BTreeMap::new();
                Some(Stage::Lacks(Lacks { shelf, uids, bare, position: now.position }))
            }
        })
    }
}

impl Arranger for Threading {
    fn wanted(&self) -> impl Iterator<Item = Uid> + '_ {
        let (lacks, threader) = match &self.stage {
            Stage::Lacks(lacks) => (Some(&lacks.uids), None),
            Stage::Thread(threader, listed) if listed.is_done() => (None, Some(threader)),
            // What is known needs no reading.
            Stage::Begin | Stage::Thread(..) => (None, None),
        };
        let lacks = lacks.into_iter().flat_map(|uids| uids.iter().rev().copied());
        lacks.chain(threader.into_iter().flat_map(Threader::wanted))
    }

    fn reads(&self) -> bool {
        true
    }

    fn give(&mut self, meta: &Meta<'_>, source: &mut Source<'_>) -> Result<(), SourceError> {
        match &mut self.stage {
            Stage::Begin => Ok(()),
            Stage::Thread(threader, _) => threader.give(meta, source),
            Stage::Lacks(Lacks { shelf, uids, position, .. }) => {
                let came = meta.internal_date.seconds;
                let words = Words::read(came, source, fingerprints(self.account.home()))?;
                if let Some(uid) = uids.pop() {
                    self.store.forests.note(shelf, uid, came, words, *position);
                }
                Ok(())
            }
        }
    }

    fn give_rows(&mut self, _: &mut dyn Iterator<Item = (i64, u64)>) {}

    fn give_bare(&mut self, meta: Option<&Meta<'_>>) {
        match &mut self.stage {
            Stage::Begin => {}
            Stage::Thread(threader, _) => threader.give_bare(meta),
            Stage::Lacks(Lacks { uids, bare, .. }) => {
                let came = meta.map_or(0, |meta| meta.internal_date.seconds);
                bare.extend(uids.pop().map(|uid| (uid, came)));
            }
        }
    }

    fn go_on(&mut self, turn: &Turn<'_>) -> Result<Given, StoreError> {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Begin) {
            Stage::Begin => match self.begin(turn)? {
                None => return Ok(Given::WouldBlock),
                Some(stage) => stage,
            },
            Stage::Lacks(Lacks { shelf, bare, .. }) => {
                let forests = &self.store.forests;
                let known = forests.threader(&shelf, self.algorithm, &self.uids, &bare);
                let (threader, listed) = known.unwrap_or_else(|| {
                    (Threader::new(self.algorithm, &self.uids), Listed::default())
                });
                Stage::Thread(threader, listed)
            }
            Stage::Thread(mut threader, mut listed) => {
                let mut is_over = false;
                while !is_over && listed.give(&mut threader, LISTED) {
                    is_over = turn.is_over();
                }
                let done = !is_over && threader.go_on(|| turn.is_over());
                self.stage = Stage::Thread(threader, listed);
                return Ok(if done { Given::All } else { Given::Some });
            }
        };
        Ok(if turn.is_over() { Given::Some } else { Given::All })
    }

    fn is_done(&self) -> bool {
        matches!(&self.stage, Stage::Thread(threader, _) if threader.is_done())
    }

    fn finish(self) -> Arranged {
        Arranged::Threads(Arc::new(match self.stage {
            Stage::Thread(threader, _) => threader.into_threads(),
            Stage::Begin | Stage::Lacks(_) => imap_proto::thread::Threads::default(),
        }))
    }
}

/// What has to be known of threads before a search can look at its messages (draft-ietf-morg-inthread): first what the
/// key behind INTHREAD finds, then the threads of the whole mailbox.
pub(super) enum InThreads {
    Finding(Box<Search>),
    Threading(UidSet, Box<Arrange<Threading>>),
}

impl InThreads {
    /// For a search whose program needs them.
    pub(super) fn new(search: &Search, inner: &Arc<Program>) -> Self {
        Self::Finding(Box::new(search.again(inner.clone())))
    }

    /// The messages around those that were found; a refusal ends the search.
    pub(super) fn go_on(
        &mut self,
        algorithm: Algorithm,
        turn: &Turn<'_>,
    ) -> Progress<Result<UidSet, Answer>> {
        loop {
            match self {
                Self::Finding(search) => match search.go_on(turn) {
                    Progress::Done(Answer::Found { uids, .. }) if uids.is_empty() => {
                        return Progress::Done(Ok(uids));
                    }
                    Progress::Done(Answer::Found { uids, .. }) => {
                        let Ok(all) = Program::compile(&Key::All, Limits::default()) else {
                            return Progress::Done(Ok(UidSet::new()));
                        };
                        let threads = Arrange::threads(search.again(Arc::new(all)), algorithm);
                        *self = Self::Threading(uids, Box::new(threads));
                    }
                    Progress::Done(refused) => return Progress::Done(Err(refused)),
                    Progress::More => return Progress::More,
                    Progress::Waits => return Progress::Waits,
                },
                Self::Threading(found, threads) => {
                    return match threads.go_on(turn) {
                        Progress::Done(Answer::Threaded(threads)) => {
                            Progress::Done(Ok(threads.around(found)))
                        }
                        Progress::Done(refused) => Progress::Done(Err(refused)),
                        Progress::More => Progress::More,
                        Progress::Waits => Progress::Waits,
                    };
                }
            }
        }
    }
}
