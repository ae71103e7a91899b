//! Whole messages of all sizes in one command.

use crate::harness::{Loft, temporary};
use crate::wire::Imap;

/// Small mail, and now and then some that are too large to be held.
fn mail(n: usize) -> String {
    let lines = if n % 20 == 7 { 5_000 } else { 25 };
    let line = "x".repeat(38);
    format!("Subject: {n}\r\n\r\n{}", format!("{line}\r\n").repeat(lines))
}

#[test]
fn every_message_of_a_set_is_given_whole_whatever_the_sizes() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    let mails: Vec<String> = (1..=300).map(mail).collect();
    for mail in &mails {
        imap.append("INBOX", mail);
    }
    imap.ok("SELECT INBOX");
    let lines = imap.ok("FETCH 1:* (BODY.PEEK[])");
    let mut lines = lines.iter();
    for (n, mail) in mails.iter().enumerate() {
        let head = lines.next().map(String::as_str);
        assert_eq!(head, Some(format!("* {} FETCH (BODY[] {{{}}}", n + 1, mail.len()).as_str()));
        for line in mail.split_terminator("\r\n") {
            assert_eq!(lines.next().map(String::as_str), Some(line), "in mail {}", n + 1);
        }
        assert_eq!(lines.next().map(String::as_str), Some(")"));
    }
}
