//! What `explain` says about the fixtures.

use dbox_format::{explain, explain_transaction};

fn describe(file: &[u8]) -> String {
    let mut out = String::new();
    explain(file, &mut out).unwrap();
    out
}

#[test]
fn a_container_in_words() {
    let mut file = include_bytes!("../fixtures/c.0000001f").to_vec();
    file[230] ^= 1;
    file.extend_from_slice(&[0; 40]);
    insta::assert_snapshot!(describe(&file), @r#"
    container 31 (c.0000001f) of 11111111111111111111111111111111
      made at 1700000000 (seconds since 1970), flags 0x0
    at 64: message 01010101010101010101010101010101, 50 bytes in a record of 147
      received 1700000001, saved to "INBOX" (22222222222222222222222222222222)
    at 211: 120 bytes DAMAGED: head of the record at byte 0 is damaged: its checksum is bbc320b2, its bytes have 022ac542
    at 331: message 03030303030303030303030303030303, 10258 bytes in a record of 10363
      received 1700000003, saved to "INBOX" (22222222222222222222222222222222)
      in 3 chunks of up to 4096 bytes
    at 10694: 40 zero bytes, never written
    whole records: 2, damaged places: 1, bytes: 10734
    "#);
}

#[test]
fn flags_and_keywords_in_words() {
    let words = describe(include_bytes!("../fixtures/c.0000001f"));
    assert!(words.contains("  flags then: \\Answered \\Seen \"$Junk\" \"work\"\n"), "{words}");
}

#[test]
fn a_snapshot_in_words() {
    insta::assert_snapshot!(describe(include_bytes!("../fixtures/map.index")), @"
    map snapshot: 3 messages after 4 transactions
      the log goes on in file 5 at byte 777
      section ids: 3 bytes, 0 a value
      section containers: 0 bytes, 0 a value
      section offsets: 6 bytes, 2 a value
      section record lengths: 6 bytes, 2 a value
      section framing: 3 bytes, 1 a value
      section references: 3 bytes, 1 a value
      section GUIDs: 48 bytes, 16 a value
      section extra fields: 7 bytes, 0 a value
      section container numbers: 0 bytes, 0 a value
      section container ends: 0 bytes, 0 a value
      section container seeds: 0 bytes, 0 a value
      section sealed containers: 0 bytes, 0 a value
      section skipped container numbers: 3 bytes, 0 a value
    next map id 4, next container 32
    container 31: 3 messages, 267 of 10694 bytes live, 10363 without references, sealed
    1: 01010101010101010101010101010101 50 bytes, 2 references, container 31 at 64
    2: 02020202020202020202020202020202 0 bytes, 3 references, container 31 at 211
    3: 03030303030303030303030303030303 10258 bytes, 0 references, container 31 at 331
    ");
}

#[test]
fn neither_in_words() {
    insta::assert_snapshot!(describe(b"Dear Loft,"), @"
    at 0: 10 bytes DAMAGED: no container at byte 0: the magic there is [44, 65, 61, 72]
    whole records: 0, damaged places: 1, bytes: 10
    ");
    let index = include_bytes!("../fixtures/map.index");
    insta::assert_snapshot!(describe(&index[..40]), @"a map snapshot, DAMAGED: next container at byte 40 needs 4 bytes, 0 are left");
}

#[test]
fn records_stored_in_other_ways_in_words() {
    let mut file = include_bytes!("../fixtures/c.00000020").to_vec();
    insta::assert_snapshot!(describe(&file), @r#"
    container 32 (c.00000020) of 11111111111111111111111111111111
      made at 1700000000 (seconds since 1970), flags 0x0
    at 64: message 04040404040404040404040404040404, 50 bytes in a record of 184
      received 1700000004, saved to "INBOX" (22222222222222222222222222222222)
      compressed by zstd with dictionary 300: 82 bytes
    at 248: message 05050505050505050505050505050505, 9000 bytes in a record of 176
      received 1700000005, saved to "INBOX" (22222222222222222222222222222222)
      compressed by zstd in chunks of 4096 bytes of text: 67 bytes
    at 424: message 06060606060606060606060606060606, 50 bytes of skeleton in a record of 263
      received 1700000006, saved to "INBOX" (22222222222222222222222222222222)
      apart, at 40 of the skeleton: 70000 bytes, a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1, base64 in lines of 76, CR LF
      apart, at 40 of the skeleton: 65536 bytes, b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2, base64 in one line
      apart, at 49 of the skeleton: 300001 bytes, a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1, base64 in lines of 75, LF
      the message has 588563 bytes
    at 687: message 07070707070707070707070707070707, 100 bytes of skeleton in a record of 162
      received 1700000007, saved to "INBOX" (22222222222222222222222222222222)
      flags then: "work"
      compressed by zstd: 17 bytes
      apart, at 40 of the skeleton: 70000 bytes, a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1, base64 in lines of 76, CR LF
      the message has 95892 bytes
    whole records: 4, damaged places: 0, bytes: 849
    "#);
    // Damage within the second record's message: pointed at in the file, and the third is found.
    file[350] ^= 1;
    insta::assert_snapshot!(describe(&file), @r#"
    container 32 (c.00000020) of 11111111111111111111111111111111
      made at 1700000000 (seconds since 1970), flags 0x0
    at 64: message 04040404040404040404040404040404, 50 bytes in a record of 184
      received 1700000004, saved to "INBOX" (22222222222222222222222222222222)
      compressed by zstd with dictionary 300: 82 bytes
    at 248: 176 bytes DAMAGED, from 317 on: message at byte 69 is damaged: its checksum is 8ed600b6, its bytes have 7d018626
    at 424: message 06060606060606060606060606060606, 50 bytes of skeleton in a record of 263
      received 1700000006, saved to "INBOX" (22222222222222222222222222222222)
      apart, at 40 of the skeleton: 70000 bytes, a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1, base64 in lines of 76, CR LF
      apart, at 40 of the skeleton: 65536 bytes, b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2, base64 in one line
      apart, at 49 of the skeleton: 300001 bytes, a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1, base64 in lines of 75, LF
      the message has 588563 bytes
    at 687: message 07070707070707070707070707070707, 100 bytes of skeleton in a record of 162
      received 1700000007, saved to "INBOX" (22222222222222222222222222222222)
      flags then: "work"
      compressed by zstd: 17 bytes
      apart, at 40 of the skeleton: 70000 bytes, a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1, base64 in lines of 76, CR LF
      the message has 95892 bytes
    whole records: 3, damaged places: 1, bytes: 849
    "#);
}

#[test]
fn a_transaction_in_words() {
    let words = |payload: &[u8]| {
        let mut out = String::new();
        explain_transaction(payload, &mut out).unwrap();
        out
    };
    insta::assert_snapshot!(words(include_bytes!("../fixtures/map.attachments")), @"
    open container 32
    add 06060606060606060606060606060606 as the id that ends in 01: 588563 bytes, 1 references, container 32 at 64, 263 bytes
      apart, at 40 of the skeleton: 70000 bytes, a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1, base64 in lines of 76, CR LF
      apart, at 40 of the skeleton: 65536 bytes, b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2, base64 in one line
      apart, at 49 of the skeleton: 300001 bytes, a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1, base64 in lines of 75, LF
    ");
    insta::assert_snapshot!(words(&[0x20, 2, 7, 2, 4, 0x50, 1, 6, 0x40, 1, 7, 3, 9, 5, 0x70, 3, 0x80, 2]), @"
    one reference more: 3 to 6, 10
    free: 3
    move 3 to container 3 at 9, 5 bytes
    seal container 3
    drop container 2
    ");
    insta::assert_snapshot!(words(&[0x20, 1, 6, 0xf0]), @"a transaction of the map, DAMAGED: step of a map transaction at byte 3 has the unknown kind 240");
}

#[test]
fn a_dictionary_in_words() {
    let mut file = include_bytes!("../fixtures/d.0000012c").to_vec();
    insta::assert_snapshot!(describe(&file), @"
    dictionary 300 (d.0000012c) of 11111111111111111111111111111111
      made at 1700000000 (seconds since 1970), 41 bytes
    ");
    file[70] ^= 1;
    insta::assert_snapshot!(describe(&file), @"a dictionary, DAMAGED: the dictionary's content at byte 64 is damaged: its checksum is 5a887b59, its bytes have 7b4eed7a");
}
