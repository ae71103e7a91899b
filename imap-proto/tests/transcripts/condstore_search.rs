//! Mod-sequences in SEARCH: MODSEQ (RFC 7162 §3.1.5), with ESEARCH (RFC 4731) and SEARCHRES (RFC 5182).
//!
//! The INBOX has three messages with the mod-sequences 2, 3 and 4; the next change gets 5.

use imap_proto::Limits;

use crate::play::{Stage, play};

#[test]
fn rfc7162_3_1_5_search_modseq() {
    insta::assert_snapshot!(play(r#"M: flag 2 | C: a SEARCH MODSEQ 4 | C: b UID SEARCH MODSEQ "/flags/\\Draft" all 5 | C: c SEARCH MODSEQ 6 | C: d SEARCH OR NOT MODSEQ 720162338 LARGER 50000 | C: e SEARCH NOT MODSEQ 4 | C: f SEARCH MODSEQ 0 FLAGGED"#), @r#"
    M: flag 2
    C: a SEARCH MODSEQ 4
    Q: search
    S: * SEARCH 2 3 (MODSEQ 5)
    Q: changes but expunges
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: * OK [HIGHESTMODSEQ 5] Highest mod-sequence
    S: a OK Done
    C: b UID SEARCH MODSEQ "/flags/\\Draft" all 5
    Q: search
    S: * SEARCH 2 (MODSEQ 5)
    Q: changes
    S: b OK Done
    C: c SEARCH MODSEQ 6
    Q: search
    S: * SEARCH
    S: c OK Done
    C: d SEARCH OR NOT MODSEQ 720162338 LARGER 50000
    Q: search
    S: * SEARCH 1 2 3 (MODSEQ 5)
    S: d OK Done
    C: e SEARCH NOT MODSEQ 4
    Q: search
    S: * SEARCH 1 (MODSEQ 2)
    S: e OK Done
    C: f SEARCH MODSEQ 0 FLAGGED
    Q: search
    S: * SEARCH 2 (MODSEQ 5)
    S: f OK Done
    "#);
}

#[test]
fn rfc7162_3_1_5_wrong() {
    insta::assert_snapshot!(play(r#"C: a SEARCH MODSEQ | C: b SEARCH MODSEQ x | C: c SEARCH MODSEQ "/flags/\\Seen" 1 | C: d SEARCH MODSEQ "/flags/\\Seen" mine 1 | C: e SEARCH MODSEQ "/other" all 1"#), @r#"
    C: a SEARCH MODSEQ
    S: a BAD Expected a space
    C: b SEARCH MODSEQ x
    S: b BAD Expected a mod-sequence below 2^63
    C: c SEARCH MODSEQ "/flags/\\Seen" 1
    S: c BAD Expected all, priv or shared
    C: d SEARCH MODSEQ "/flags/\\Seen" mine 1
    S: d BAD Expected all, priv or shared
    C: e SEARCH MODSEQ "/other" all 1
    S: e BAD Expected the name of a flag, such as "/flags/\\Seen"
    "#);
}

/// The message that has just come has the highest one; the client hears of it only afterwards.
#[test]
fn rfc7162_3_1_6_the_mod_sequence_is_of_what_is_told() {
    insta::assert_snapshot!(play(r#"M: deliver | C: a SEARCH MODSEQ 1"#), @r#"
    M: deliver
    C: a SEARCH MODSEQ 1
    Q: search
    S: * SEARCH 1 2 3 (MODSEQ 4)
    Q: changes but expunges
    S: * 4 EXISTS
    S: * 4 RECENT
    S: * OK [HIGHESTMODSEQ 5] Highest mod-sequence
    S: a OK Done
    "#);
}

#[test]
fn rfc7162_3_1_10_esearch_modseq() {
    insta::assert_snapshot!(play(r#"M: flag 2 | C: a SEARCH RETURN (ALL) MODSEQ 3 | C: b UID SEARCH RETURN (COUNT) MODSEQ 1 | C: c SEARCH RETURN () MODSEQ 9 | C: d SEARCH RETURN (COUNT ALL) MODSEQ 9"#), @r#"
    M: flag 2
    C: a SEARCH RETURN (ALL) MODSEQ 3
    Q: search
    S: * ESEARCH (TAG "a") ALL 2:3 MODSEQ 5
    Q: changes but expunges
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: * OK [HIGHESTMODSEQ 5] Highest mod-sequence
    S: a OK Done
    C: b UID SEARCH RETURN (COUNT) MODSEQ 1
    Q: search
    S: * ESEARCH (TAG "b") UID COUNT 3 MODSEQ 5
    Q: changes
    S: b OK Done
    C: c SEARCH RETURN () MODSEQ 9
    Q: search
    S: * ESEARCH (TAG "c")
    S: c OK Done
    C: d SEARCH RETURN (COUNT ALL) MODSEQ 9
    Q: search
    S: * ESEARCH (TAG "d") COUNT 0
    S: d OK Done
    "#);
}

#[test]
fn rfc4731_3_2_modseq_with_min_and_max() {
    insta::assert_snapshot!(play(r#"M: flag 2 | C: a SEARCH RETURN (MIN) MODSEQ 1 | C: b SEARCH RETURN (MAX) MODSEQ 1 | C: c SEARCH RETURN (MIN MAX) MODSEQ 1 | C: d SEARCH RETURN (MIN COUNT) MODSEQ 1 | C: e SEARCH RETURN (MAX ALL) MODSEQ 1 | C: f SEARCH RETURN (MIN) MODSEQ 9"#), @r#"
    M: flag 2
    C: a SEARCH RETURN (MIN) MODSEQ 1
    Q: search
    S: * ESEARCH (TAG "a") MIN 1 MODSEQ 2
    Q: changes but expunges
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: * OK [HIGHESTMODSEQ 5] Highest mod-sequence
    S: a OK Done
    C: b SEARCH RETURN (MAX) MODSEQ 1
    Q: search
    S: * ESEARCH (TAG "b") MAX 3 MODSEQ 4
    S: b OK Done
    C: c SEARCH RETURN (MIN MAX) MODSEQ 1
    Q: search
    S: * ESEARCH (TAG "c") MIN 1 MAX 3 MODSEQ 4
    S: c OK Done
    C: d SEARCH RETURN (MIN COUNT) MODSEQ 1
    Q: search
    S: * ESEARCH (TAG "d") MIN 1 COUNT 3 MODSEQ 5
    S: d OK Done
    C: e SEARCH RETURN (MAX ALL) MODSEQ 1
    Q: search
    S: * ESEARCH (TAG "e") MAX 3 ALL 1:3 MODSEQ 5
    S: e OK Done
    C: f SEARCH RETURN (MIN) MODSEQ 9
    Q: search
    S: * ESEARCH (TAG "f")
    S: f OK Done
    "#);
}

#[test]
fn rfc5182_2_4_save_with_modseq() {
    insta::assert_snapshot!(play(r#"M: flag 2 | C: a SEARCH RETURN (SAVE) MODSEQ 5 | C: b FETCH $ (UID MODSEQ) | C: c SEARCH RETURN (SAVE MIN) MODSEQ 3 | C: d FETCH $ (UID FLAGS) (CHANGEDSINCE 4) | C: e SEARCH $ MODSEQ 5 | C: f STORE $ (UNCHANGEDSINCE 5) +FLAGS.SILENT (\Seen)"#), @r#"
    M: flag 2
    C: a SEARCH RETURN (SAVE) MODSEQ 5
    Q: search
    Q: changes but expunges
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: * OK [HIGHESTMODSEQ 5] Highest mod-sequence
    S: a OK Done
    C: b FETCH $ (UID MODSEQ)
    Q: fetch 2+1
    S: * 2 FETCH (UID 2 MODSEQ (5))
    S: b OK Done
    C: c SEARCH RETURN (SAVE MIN) MODSEQ 3
    Q: search
    S: * ESEARCH (TAG "c") MIN 2 MODSEQ 5
    S: c OK Done
    C: d FETCH $ (UID FLAGS) (CHANGEDSINCE 4)
    Q: changed since 4 in 2
    Q: fetch 2+1
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: d OK Done
    C: e SEARCH $ MODSEQ 5
    Q: search
    S: * SEARCH 2 (MODSEQ 5)
    S: e OK Done
    C: f STORE $ (UNCHANGEDSINCE 5) +FLAGS.SILENT (\Seen)
    Q: store 2 Add unless changed since 5
    S: * 2 FETCH (UID 2 MODSEQ (6))
    S: f OK Stored
    "#);
}

#[test]
fn rfc7162_3_1_10_in_rev2() {
    insta::assert_snapshot!(play(r#"C: a ENABLE IMAP4rev2 | C: b SEARCH MODSEQ 3 | M: flag 1 | C: c NOOP"#), @r#"
    C: a ENABLE IMAP4rev2
    S: * ENABLED IMAP4rev2
    S: a OK Done
    C: b SEARCH MODSEQ 3
    Q: search
    S: * ESEARCH (TAG "b") ALL 2:3 MODSEQ 4
    Q: changes but expunges
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: b OK Done
    M: flag 1
    C: c NOOP
    Q: changes
    S: * 1 FETCH (UID 1 FLAGS (\Flagged) MODSEQ (5))
    S: c OK Done
    "#);
}

/// What a client may nest without MODSEQ it may nest with it.
#[test]
fn row_50_search_limits_count_what_the_client_wrote() {
    let depth = imap_proto::search::Limits::default().depth;
    let nested = |levels: usize| {
        let (open, close) = ("(".repeat(levels), ")".repeat(levels));
        Stage {
            before: "C: 0 LOGIN u pw | C: 0 SELECT INBOX",
            config: imap_proto::Config {
                limits: Limits { nesting: 100, ..Limits::default() },
                ..Stage::default().config
            },
            ..Stage::default()
        }
        .play(&format!("C: a SEARCH {open}MODSEQ 4{close}"))
    };
    assert!(nested(depth - 1).contains("S: * SEARCH 3 (MODSEQ 4)"), "{}", nested(depth - 1));
    assert!(nested(depth).contains("S: a BAD [LIMIT]"), "{}", nested(depth));
}
