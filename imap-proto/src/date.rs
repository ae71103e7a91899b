//! Dates and times of IMAP and of messages.
