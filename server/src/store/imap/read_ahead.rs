//! The texts of messages that a FETCH will come to, read and decoded by threads that have nothing else to do.
//!
//! It begins with the second batch of a FETCH whose first one needed the messages' texts, and ends with the last.

use crate::store::ahead::{Row, Work};
use crate::store::message::Message;
use crate::store::store::Store;
use imap_proto::Uid;
use imap_proto::fetch::FetchItems;
use index_format::Guid;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is being fetched, over its batches.
pub(super) struct ReadAhead {
    items: Arc<FetchItems>,
    mailbox: Guid,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The batch before needed most of its messages' texts.
    needed: bool,
    row: Option<Arc<Row<Text>>>,
    /// Up to which messages were added to the row.
    upto: Uid,
}

/// The whole text of a small message.
pub(super) struct Text {
    pub(super) store: Arc<Store>,
    pub(super) message: Message,
}

impl Work for Text {
    type Made = Vec<u8>;

    fn bytes(&self) -> usize {
        // Those that would not fit are never added.
        usize::try_from(self.message.size).unwrap_or(usize::MAX)
    }

    fn make(self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        self.message.read_whole(&self.store, true, &mut text).ok()?;
        Some(text)
    }
}

impl ReadAhead {
    pub(super) fn new(items: Arc<FetchItems>, mailbox: Guid) -> Self {
        Self { items, mailbox, state: Mutex::default() }
    }

    /// Whether it is of the FETCH that asked for these very items.
    pub(super) fn is_of(&self, items: &Arc<FetchItems>, mailbox: Guid) -> bool {
        Arc::ptr_eq(&self.items, items) && self.mailbox == mailbox
    }

    /// The texts that are read ahead. While there are few, `look_up` gives messages behind a UID, each with its own.
    pub(super) fn row(
        &self,
        store: &Arc<Store>,
        look_up: impl FnOnce(Uid) -> Vec<(Uid, Option<Message>)>,
    ) -> Option<Arc<Row<Text>>> {
        let mut state = self.state();
        if !state.needed {
            return None;
        }
        if state.row.is_none() {
            state.row = store.aside.row();
        }
        let row = state.row.clone()?;
        if row.is_low() {
            for (uid, message) in look_up(state.upto) {
                // One that is not in its container is at hand.
                if let Some(message) = message.filter(Message::is_small_and_stored)
                    && !row.push(message.id.0, Text { store: store.clone(), message })
                {
                    break;
                }
                state.upto = uid;
            }
        }
        row.call();
        Some(row)
    }

    /// A batch is over: whether it `needed` most of its messages' texts, and more is to come.
    pub(super) fn note(&self, needed: bool) {
        let mut state = self.state();
        state.needed = needed;
        if !needed {
            *state = State::default();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
