//! THREAD (RFC 5256 §3).

use super::search::{Charsets, Scope};
use super::sort::shown;
use super::tell::{Reply, Tell};
use super::{Session, Work};
use crate::ask::{Answer, Ask};
use crate::parse::search::Return;
use crate::parse::{Cursor, Error, sort};
use crate::thread::Written;
use crate::view::View;

/// Threads that are being told.
#[derive(Debug)]
pub(super) struct Telling {
    threads: Written,
    by_uid: bool,
}

impl Session {
    pub(super) fn on_thread(&mut self, cursor: &mut Cursor<'_>, by_uid: bool) -> Result<(), Error> {
        cursor.space()?;
        let algorithm = sort::algorithm(cursor)?;
        // RFC 7162 §3.1.9: MODSEQ among the keys changes nothing in the answer.
        let searched =
            self.search_program(cursor, Charsets::Stated, Scope::View, &Return::default())?;
        let program = searched.program;
        self.ask(Ask::Thread { program, algorithm });
        self.work = Work::Thread { by_uid };
        Ok(())
    }

    pub(super) fn on_thread_answer(&mut self, by_uid: bool, answer: Answer) {
        let Answer::Threaded(threads) = answer else {
            return self.finish(Reply::refusal(answer));
        };
        // `thread-data = "THREAD" [SP 1*thread-list]`
        self.out.put(if threads.is_empty() { b"* THREAD" } else { b"* THREAD " });
        let telling = Telling { threads: Written::new(threads), by_uid };
        self.told.push_back(Tell::Threads(Box::new(telling)));
        self.told.push_back(Tell::Line(b"\r\n".to_vec()));
        self.finish(Reply::ok("Done"));
    }
}

impl Telling {
    /// Writes about `room` bytes of them; whether there are more.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, view: &View, room: usize) -> bool {
        let by_uid = self.by_uid;
        self.threads.write(out, room, |uid| shown(view, uid, by_uid))
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.threads.held()
    }
}
