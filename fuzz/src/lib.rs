//! Fuzz targets of Loft.
//!
//! The body of each target is a function here, so that `cargo test` replays what fuzzing found without libFuzzer, a
//! nightly compiler or C++: see `tests/replay.rs`. `cargo fuzz run TARGET` builds the same bodies with libFuzzer.
//!
//! - `corpus/TARGET/` holds inputs worth keeping; `cargo run -p loft-fuzz --bin seed_corpus` writes the first ones anew.
//! - `artifacts/TARGET/` holds what once failed, and stays.
//!
//! A body panics where something is wrong, and does not care where the bytes came from.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a body is a test: what it does not expect is to fail there"
)]

mod body_grammar;
mod dbox;
mod dbox_apart;
mod generate;
#[path = "../../imap-proto/tests/grammar/mod.rs"]
mod grammar;
mod imap;
mod index_files;
mod index_log;
mod index_overlay;
mod index_threads;
mod lmtp;
mod malformed;
mod mime;
mod pieces;
mod replay;
mod rng;
mod seeds;
mod uidset;

pub use dbox::{dbox_container, dbox_map};
pub use dbox_apart::dbox_attachments;
pub use generate::Generator;
pub use imap::{imap_command, imap_session};
pub use index_files::{index_cache, index_journal, index_list, index_snapshot};
pub use index_log::index_log;
pub use index_overlay::index_overlay;
pub use index_threads::index_threads;
pub use lmtp::lmtp_session;
pub use malformed::MalformedMail;
pub use mime::imap_mime;
pub use replay::{Replayed, replay_arguments, replay_folder};
pub use uidset::uidset;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of its function, its binary and its folders.
    pub name: &'static str,
    /// Its body.
    pub run: fn(&[u8]),
    /// Its first inputs, in the order of their file names.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "dbox_attachments", run: dbox_attachments, seeds: seeds::dbox_attachments },
    Target { name: "dbox_container", run: dbox_container, seeds: seeds::dbox_container },
    Target { name: "dbox_map", run: dbox_map, seeds: seeds::dbox_map },
    Target { name: "imap_command", run: imap_command, seeds: seeds::imap_command },
    Target { name: "imap_mime", run: imap_mime, seeds: seeds::imap_mime },
    Target { name: "imap_session", run: imap_session, seeds: seeds::imap_session },
    Target { name: "index_cache", run: index_cache, seeds: seeds::index_cache },
    Target { name: "index_journal", run: index_journal, seeds: seeds::index_journal },
    Target { name: "index_list", run: index_list, seeds: seeds::index_list },
    Target { name: "index_log", run: index_log, seeds: seeds::index_log },
    Target { name: "index_overlay", run: index_overlay, seeds: seeds::index_overlay },
    Target { name: "index_snapshot", run: index_snapshot, seeds: seeds::index_snapshot },
    Target { name: "index_threads", run: index_threads, seeds: seeds::index_threads },
    Target { name: "lmtp_session", run: lmtp_session, seeds: seeds::lmtp_session },
    Target { name: "uidset", run: uidset, seeds: seeds::uidset },
];

/// The whole of a target's binary: libFuzzer's entry point when fuzzing, else a program that replays files.
#[macro_export]
macro_rules! target {
    ($body:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$body(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::replay_arguments($crate::$body)
        }
    };
}
