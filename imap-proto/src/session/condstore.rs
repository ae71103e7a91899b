//! Mod-sequences told without being asked for (RFC 7162 §3.1).

use super::tell::Tell;
use super::{Phase, Session};
use crate::fetch::number;
use crate::types::ModSeq;

impl Session {
    /// A CONDSTORE enabling command: from here on every change of flags is told with its mod-sequence, for as long as the
    /// connection lasts.
    pub(super) fn enable_condstore(&mut self) {
        if self.condstore {
            return;
        }
        self.condstore = true;
        if let Phase::Selected(mailbox) = &mut self.phase {
            // RFC 7162 §3.1: the first of them returns HIGHESTMODSEQ. It is told at the command's end, with what else
            // happened, for a client that has it must have heard of everything up to it.
            mailbox.modseq_due = true;
            mailbox.changed = true;
        }
    }

    /// Whether changes of flags are told with the UID: RFC 9051 §7.5.2 in IMAP4rev2, RFC 7162 §3.2.4 with CONDSTORE.
    pub(super) fn tells_uids(&self) -> bool {
        self.condstore || self.names == crate::parse::Names::Rev2
    }

    /// What happened is told; everything up to `highest`, if no expunge had to be withheld.
    pub(super) fn on_looked(&mut self, highest: Option<ModSeq>) {
        let Phase::Selected(mailbox) = &mut self.phase else { return };
        if let Some(highest) = highest {
            mailbox.modseq = highest;
        }
        if std::mem::take(&mut mailbox.modseq_due) {
            let mut line = Vec::new();
            highest_modseq(&mut line, mailbox.modseq);
            self.told.push_back(Tell::Line(line));
        }
    }
}

/// `* OK [HIGHESTMODSEQ n] text` (RFC 7162 §3.1.2.1).
pub(super) fn highest_modseq(out: &mut Vec<u8>, highest: ModSeq) {
    out.extend_from_slice(b"* OK [HIGHESTMODSEQ ");
    number::write(highest.0, out);
    out.extend_from_slice(b"] Highest mod-sequence\r\n");
}
