//! IMAP4rev1 and IMAP4rev2 as state machines: grammar, sessions, mailbox view, MIME structure; no I/O.
