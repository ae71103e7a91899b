//! What is kept of a mailbox's threads.

use super::{Teller, counted};
use crate::threads::{Blocks, Header};
use std::fmt;

pub(super) fn explain(file: &[u8], out: &mut Teller<'_>) -> fmt::Result {
    let header = match Header::parse(file) {
        Ok(header) => header,
        Err(error) => {
            let why = format!("threads of a mailbox: {error}; they are made anew of its messages");
            return out.damage(0, file.len() as u64, why);
        }
    };
    out.file(format!("threads of mailbox {}, fingerprints of {}", header.mailbox, header.owner))?;
    let mut blocks = Blocks::new(file);
    loop {
        let (at, mut lines) = (blocks.at(), Vec::new());
        let block = blocks.next(&mut |message| {
            let short = |print: &u128| format!("{:08x}", print >> 96);
            let references: Vec<String> = message.references.iter().map(short).collect();
            lines.push(format!(
                "UID {}: id {}, subject {}{}, sent {}, came {}, refers to [{}]",
                message.uid.0,
                short(&message.id),
                short(&message.subject),
                if message.is_reply { " (a reply)" } else { "" },
                message.sent,
                message.came,
                references.join(" ")
            ));
        });
        let len = file.len() as u64;
        match block {
            None => return out.end(len, "the end"),
            Some(Ok(())) => {
                let end = blocks.at();
                out.part(
                    at,
                    end - at,
                    format!("block of {}", counted(lines.len() as u64, "message")),
                )?;
            }
            Some(Err(error)) => {
                let why = format!(
                    "nothing from here on counts: {error}; those messages are looked at again"
                );
                return out.damage(at, len.saturating_sub(at), why);
            }
        }
        for line in lines {
            out.detail(line)?;
        }
    }
}
