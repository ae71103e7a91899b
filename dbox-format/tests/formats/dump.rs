//! What the example `dump` says about the fixtures.

#[path = "../../examples/dump.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod example;

#[test]
fn a_container_in_words() {
    let mut file = include_bytes!("../fixtures/c.0000001f").to_vec();
    file[230] ^= 1;
    file.extend_from_slice(&[0; 40]);
    insta::assert_snapshot!(example::describe(&file), @r#"
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
    let words = example::describe(include_bytes!("../fixtures/c.0000001f"));
    assert!(words.contains("  flags then: \\Answered \\Seen \"$Junk\" \"work\"\n"), "{words}");
}

#[test]
fn a_snapshot_in_words() {
    insta::assert_snapshot!(example::describe(include_bytes!("../fixtures/map.index")), @"
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
    insta::assert_snapshot!(example::describe(b"Dear Loft,"), @"
    at 0: 10 bytes DAMAGED: no container at byte 0: the magic there is [44, 65, 61, 72]
    whole records: 0, damaged places: 1, bytes: 10
    ");
    let index = include_bytes!("../fixtures/map.index");
    insta::assert_snapshot!(example::describe(&index[..40]), @"a map snapshot, DAMAGED: next container at byte 40 needs 4 bytes, 0 are left");
}
