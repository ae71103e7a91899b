//! Replays what is stored for each target, and a few thousand inputs that are the same in every run.

use loft_fuzz::{Generator, MalformedMail, Replayed, TARGETS, Target, replay_folder};
use std::path::{Path, PathBuf};

/// Inputs generated for each target.
const GENERATED: u64 = 3_000;

fn folder(kind: &str, target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target.name)
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the target is listed");
    let corpus =
        replay_folder(&folder("corpus", target), target.run).expect("the corpus can be read");
    let artifacts =
        replay_folder(&folder("artifacts", target), target.run).expect("the artifacts can be read");
    println!(
        "{name}: {} from the corpus, {} artifacts, {GENERATED} generated",
        corpus.files, artifacts.files
    );
    assert_ne!(corpus, Replayed::default(), "the corpus of {name} is not there");

    let start = std::env::var("SEED").map_or(0, |seed| seed.parse().expect("SEED is a number"));
    for number in start..start + GENERATED {
        let input = Generator::new((target.seeds)(), number).input();
        let result = std::panic::catch_unwind(|| (target.run)(&input));
        if let Err(panic) = result {
            eprintln!(
                "{name} fails for generated input {number}: SEED={number}, {}",
                input.escape_ascii()
            );
            std::panic::resume_unwind(panic);
        }
    }
}

macro_rules! replays {
    ($($target:ident),* $(,)?) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($target)),*];
            assert!(TARGETS.iter().map(|target| target.name).eq(replayed));
            let binaries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets"));
            assert_eq!(binaries.expect("the targets are there").count(), replayed.len());
        }
    };
}

replays!(
    dbox_attachments,
    dbox_container,
    dbox_map,
    imap_command,
    imap_mime,
    imap_session,
    index_cache,
    index_journal,
    index_list,
    index_log,
    index_overlay,
    index_snapshot,
    index_threads,
    lmtp_session,
    uidset,
);

/// Mail whose structure is broken, as `imap_mime` reads it: whole and in pieces, with limits and without.
#[test]
fn imap_mime_of_malformed_mail() {
    let count = std::env::var("MAILS").map_or(5_000, |mails| mails.parse().expect("a number"));
    for seed in 0..count {
        let message = MalformedMail::new(seed, true).message();
        for choice in [seed as u8 & !1, 13] {
            let input = [&[choice], message.as_slice()].concat();
            let result = std::panic::catch_unwind(|| loft_fuzz::imap_mime(&input));
            if let Err(panic) = result {
                eprintln!("imap_mime fails for malformed mail {seed}: {}", input.escape_ascii());
                std::panic::resume_unwind(panic);
            }
        }
    }
}
