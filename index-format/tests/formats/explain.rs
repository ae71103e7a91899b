//! What is said of files, whole ones and damaged ones.

use index_format::explain::{Sort, explain, notes};
use std::path::PathBuf;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn explained(file: &[u8]) -> String {
    let mut out = String::new();
    explain(file, &mut out).unwrap();
    out
}

/// A fixture with a bit of the byte at `at` turned over.
fn flipped(name: &str, at: usize) -> Vec<u8> {
    let mut file = fixture(name);
    file[at] ^= 0x10;
    file
}

#[test]
fn a_damaged_frame_is_pointed_at_and_what_follows_is_shown() {
    insta::assert_snapshot!(explained(&flipped("mailbox.log", 135)), @r#"
    log of mailbox 676f6c64656e206d61696c626f782031, file 1, server 1
      the first file
      0 transactions before it; UIDNEXT 1, UIDVALIDITY 1700000000
      modseq 65 (t 1), epoch 0, unknown flags 0x0
            88  transaction 0, 32 bytes
                append map id 300, 10 bytes, received 1750000000, UID ends in 0x01
                append map id 300, 20 bytes, received 1750000000, UID ends in 0x02
                append map id 300, 30 bytes, received 1750000000, UID ends in 0x03
                append map id 300, 1099511627776 bytes, received 1750000000, UID ends in 0x04
           120  transaction 1, 12 bytes
                add \Seen to 1:2,4
           132  DAMAGED: a frame whose checksum differs; the log's file ends here for its readers, 32 bytes before the next whole frame
           164  DOES NOT COUNT: a whole transaction behind the end, 58 bytes
                takes modseq 134217731
                in epoch 2
                made elsewhere: Origin { server: 3, sequence: 1234, clock: 81985529216486895 }
                append map id 300, 2345 bytes, received 1750000000, UID 40, saved 1750000777, \Seen \Draft, keyword 1, GUID 676f6c64656e206d61696c626f782031, item 3.99
           222  DOES NOT COUNT: a whole transaction behind the end, 19 bytes
                remove \Seen \Answered from 1
                set \Flagged and keywords [0, 1] on 3
                1 saved at -5
           241  DOES NOT COUNT: a whole transaction behind the end, 9 bytes
                expunge 2
           250  DOES NOT COUNT: a whole transaction behind the end, 90 bytes
                UIDVALIDITY at least 1750000001
                UIDNEXT at least 50
                metadata "/private/comment" is "hello"
                metadata "/private/gone" goes
                for "anna" alone remove no flag, add \Seen on 1:40
                void 60:70
                was expunged: UID 30, map id 12
           340  sealed: goes on in the next file
    "#);
}

#[test]
fn a_torn_end_is_no_damage() {
    let mut file = fixture("list.log");
    file.truncate(440);
    let said = explained(&file);
    assert!(!said.contains("DAMAGED"), "{said}");
    insta::assert_snapshot!(said.lines().next_back().unwrap(), @"       431  torn: a frame that is longer than the file; 9 bytes to the end of the file do not count, the log goes on in its next file");
}

#[test]
fn a_log_without_its_header_shows_how_much_is_there() {
    insta::assert_snapshot!(explained(&flipped("mailbox.log", 40)), @r"
           0  DAMAGED: the header: the checksum of log header at byte 0 is eafdfef6, its bytes give f3868b20; nothing in this file counts
    7 whole frames under the seed that stands there
    ");
}

#[test]
fn a_damaged_section_is_pointed_at() {
    let said = explained(&flipped("mailbox.index", 589));
    insta::assert_snapshot!(said.lines().skip(6).take(6).collect::<Vec<_>>().join("\n"), @r"
    504  section 1, UIDs: 24 bytes
    528  section 2, system flags: 17 bytes
    545  section 3, keywords: 15 bytes
    560  section 4, modseqs: 27 bytes
    587  DAMAGED: section 5, internal dates: the checksum of a snapshot section at byte 587 is 12d2506e, its bytes give 0bfb887d; the snapshot is of no use with it, the one before it and the log are
    601  section 7, save dates less internal dates: 30 bytes
    ");
}

#[test]
fn a_damaged_cache_says_what_does_not_count() {
    insta::assert_snapshot!(explained(&flipped("cache", 120)), @r#"
    cache of 676f6c64656e206d61696c626f782031, map ids 2048 to 3071
      kept together: envelope, structure, header, addresses, subject, sent date
      2 rows
            72  map id 3000, GUID 67756964…
                Envelope: "(NIL)"
                list-id: ""
            96  map id 3001, GUID 67756964…
                BodyStructure: "(\"text\")"
                Other(40): "new"
           111  DAMAGED: no block begins here; 27 bytes to the end of the file do not count, their messages are read again
    "#);
}

#[test]
fn what_is_no_file_of_ours_is_said_to_be_none() {
    insta::assert_snapshot!(explained(b"From alice"), @"         0  DAMAGED: begins like none of a store's index files");
}

#[test]
fn names_cannot_speak_to_the_terminal() {
    use index_format::list::{Record, Transaction};
    let record = Record::Subscribe("a\u{1b}[2J\nb".into());
    let mut payload = Vec::new();
    Transaction::new(vec![record]).encode(&mut payload).unwrap();
    let mut file = fixture("list.log");
    file.truncate(88);
    let seed = u64::from_le_bytes(*file[76..].first_chunk().unwrap());
    index_format::log::write_frame(seed, &payload, &mut file).unwrap();
    let said = explained(&file);
    assert!(said.contains("subscribe") && !said.contains('\u{1b}'), "{said}");
    assert_eq!(said.lines().count(), 7, "{said}");
}

/// Each byte of a log, a snapshot, a list and a cache counts for a reader; so each that is wrong is told.
#[test]
fn any_flipped_bit_is_told() {
    for name in ["mailbox.log", "list.log", "mailbox.index", "list.index", "cache"] {
        for at in 0..fixture(name).len() {
            let file = flipped(name, at);
            let mut told = false;
            notes(&file, None, &mut |note| {
                assert!(note.at.unwrap_or(0) <= file.len() as u64, "{name} {at}: {note}");
                told |= note.sort == Sort::Damage || note.text.starts_with("torn");
                Ok(())
            })
            .unwrap();
            assert!(told, "{name}: byte {at}");
        }
    }
}

#[test]
fn any_file_cut_anywhere_is_explained() {
    for name in ["mailbox.log", "list.log", "mailbox.index", "list.index", "cache", "journal"] {
        let file = fixture(name);
        for len in 0..file.len().min(1024) {
            explained(&file[..len]);
        }
    }
}
