//! Transcripts of LMTP sessions: each script is played whole and in pieces, and must read the same.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets what it does not expect should fail there"
)]

mod bdat;
mod data;
mod endings;
mod envelope;
mod hostile;
mod opening;
mod play;
mod property;
mod replies;
