//! What a client and the server say to each other, word for word.
//!
//! A script is one line of steps with `|` between them:
//! - `C: text` the client sends a line; `B: text` it sends bytes, `\r`, `\n` and `\0` written so
//! - `T: +30m`, `T: +60s` time passes
//! - `M: deliver`, `M: expunge 3`, `M: flag 2` another session changes the INBOX; `M: delete x` it deletes a mailbox
//! - `M: mail Subject: a\nFrom: b` a message with this header comes to the INBOX
//! - `A: no TEXT` the next question is refused
//! - `E: eof`, `E: shutdown`, `E: kick`, `E: reopened`, `E: tls`, `E: hold`, `E: silent`, `E: durable`, `E: lost`, `E: stall`, `E: read`
//!
//! In the transcript `S:` is what the server sends, `Q:` what it asks the store, `X:` what else it does.

#[path = "../grammar/mod.rs"]
mod grammar;

mod append;
mod binary;
mod capabilities;
mod condstore;
mod condstore_search;
mod context;
mod durable;
mod echo;
mod fetch;
mod hostile;
mod idle;
mod list;
mod login;
mod mailbox;
mod memory;
mod objectid;
mod pipelining;
mod play;
mod rev2;
mod search;
mod search_rules;
mod select;
mod sort;
mod states;
mod store;
mod strict;
mod thread;
