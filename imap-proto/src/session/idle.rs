//! IDLE (RFC 2177): changes are told as they come, DONE is read at any time.

use super::tell::Reply;
use super::{Phase, Session, Work};

/// An IDLE that runs.
#[derive(Debug)]
pub(super) struct Idle {
    /// DONE, or something else, has come: this is said once what is under way is told.
    pub(super) done: Option<Reply>,
}

impl Session {
    pub(super) fn on_idle(&mut self) {
        self.out.put(b"+ idling\r\n");
        self.work = Work::Idle(Idle { done: None });
        if let Phase::Selected(mailbox) = &mut self.phase {
            mailbox.changed = true;
        }
    }

    pub(super) fn on_idle_line(&mut self, line: &[u8]) {
        let done = line.eq_ignore_ascii_case(b"DONE");
        if let Work::Idle(idle) = &mut self.work {
            idle.done = Some(if done { Reply::ok("Done") } else { Reply::bad("Expected DONE") });
        }
    }

    /// Asks for changes, or ends; `false` when there is nothing to do.
    pub(super) fn go_on_idle(&mut self) -> bool {
        let Work::Idle(idle) = &mut self.work else { return false };
        if let Some(reply) = idle.done.take() {
            self.finish(reply);
            return true;
        }
        let Phase::Selected(mailbox) = &mut self.phase else { return false };
        if !(mailbox.changed || mailbox.shrink_due) {
            return self.ask_for_updates();
        }
        let ask = mailbox.changes(true);
        self.ask(ask);
        true
    }
}
