use super::*;
use proptest::prelude::*;

fn decoded(encoding: Encoding, pieces: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut transfer = Transfer::new(encoding);
    for piece in pieces {
        transfer.feed(piece, &mut out);
    }
    transfer.finish(&mut out);
    out
}

fn words(value: &str) -> String {
    let mut out = Vec::new();
    decode_words(value.as_bytes(), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn quoted_printable() {
    let quoted = |text: &str| {
        String::from_utf8_lossy(&decoded(Encoding::QuotedPrintable, &[text.as_bytes()]))
            .into_owned()
    };
    assert_eq!(quoted("caf=C3=A9"), "café");
    assert_eq!(quoted("one=\r\ntwo=  \r\nthree=\nfour"), "onetwothreefour");
    assert_eq!(quoted("=c3=a9"), "é");
    assert_eq!(quoted("a ="), "a "); // the boundary took the line's end
    assert_eq!(quoted("a = \t"), "a ");
}

#[test]
fn what_is_no_quoted_printable_stands_for_itself() {
    let quoted = |text: &str| {
        String::from_utf8_lossy(&decoded(Encoding::QuotedPrintable, &[text.as_bytes()]))
            .into_owned()
    };
    assert_eq!(quoted("a=3Db=zz=4"), "a=b=zz=4");
    assert_eq!(quoted("1 = 2, a =\t b=\rc = \r\r\n"), "1 = 2, a =\t b=\rc = \r\r\n");
    assert_eq!(quoted("==3D===\n= =\r\n="), "===== ");
    let blanks = format!("={}x", " ".repeat(5000));
    assert_eq!(quoted(&blanks), blanks);
}

#[test]
fn base64() {
    let quoted = |text: &str| {
        String::from_utf8_lossy(&decoded(Encoding::Base64, &[text.as_bytes()])).into_owned()
    };
    assert_eq!(quoted("aGVs\r\nbG8="), "hello");
    assert_eq!(quoted("aGVsbG8"), "hello");
    assert_eq!(quoted("a!G!V!s bG8=d29ybGQ="), "helloworld");
}

#[test]
fn encoded_words() {
    assert_eq!(words("=?utf-8?q?J=C3=B6rg?="), "Jörg");
    assert_eq!(words("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?="), "ab");
    assert_eq!(words("a =?ISO-8859-1?Q?b_c?= d"), "a b c d");
    assert_eq!(words("=?iso-8859-1*de?q?=FCber?="), "über");
    assert_eq!(words("=?windows-1252?B?gA==?="), "€");
    assert_eq!(words("=?utf-8?b?w6k?= x"), "é x");
    assert_eq!(words("=?utf-8?x?abc?= =?utf-8?q?abc"), "=?utf-8?x?abc?= =?utf-8?q?abc");
    assert_eq!(words("=?utf-8?b?w6k?= =?utf-8?x?a?= b"), "é =?utf-8?x?a?= b");
    assert_eq!(words("=?=?utf-8?q?a?="), "=?a");
}

#[test]
fn characters_cut_by_words_are_whole_again() {
    assert_eq!(words("=?utf-8?b?w6nD?= =?utf-8?b?qQ==?="), "éé");
    assert_eq!(words("=?UTF-8?q?=C3?=\t=?utf-8?q?=A9?= x"), "é x");
    assert_eq!(words("=?koi8-r?q?=CD=C1?= =?utf-8?q?=D1=82=D1=8C?="), "мать");
    assert_eq!(
        words("=?iso-2022-jp?B?GyRCJDMkcxsoQg==?= =?iso-2022-jp?B?GyRCJEskQSRPGyhC?="),
        "こんにちは"
    );
    assert_eq!(words("=?gb2312?B?xOO6ww==?= =?big5?B?p0GmbqFB?="), "你好你好，");
}

proptest! {
    #[test]
    fn pieces_make_no_difference(body in "[a-f0-9A-F= \r\n\t+/_]{0,80}", cut in 0usize..80, base64: bool) {
        let encoding = if base64 { Encoding::Base64 } else { Encoding::QuotedPrintable };
        let body = body.as_bytes();
        let (left, right) = body.split_at(cut.min(body.len()));
        prop_assert_eq!(decoded(encoding, &[left, right]), decoded(encoding, &[body]));
    }

    #[test]
    fn words_never_panic(value: Vec<u8>) {
        decode_words(&value, &mut Vec::new());
    }
}
