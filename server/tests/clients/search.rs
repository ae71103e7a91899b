//! SEARCH that takes long: nobody else notices, and it ends when nobody waits for it.

use crate::harness::{Loft, temporary};
use crate::wire::Imap;
use std::time::{Duration, Instant};

/// Looks for so much in every message that it takes many seconds.
fn endless() -> String {
    let keys = (0..480).map(|number| format!(" NOT BODY missing{number}"));
    format!("SEARCH{}", keys.collect::<String>())
}

/// Some megabytes of text beyond ASCII.
fn fill(imap: &mut Imap) {
    let mail = format!("Subject: long\r\n\r\n{}", "Größe, Äpfel, Öl.\r\n".repeat(10_000));
    for _ in 0..40 {
        imap.append("INBOX", &mail);
    }
}

fn begin_endless(imap: &mut Imap) {
    imap.ok("SELECT INBOX");
    imap.send(format!("t {}\r\n", endless()).as_bytes()).unwrap();
}

#[test]
fn a_long_search_holds_up_nobody_and_ends_with_a_hang_up() {
    let dir = temporary();
    let loft = Loft::start_logging(&dir, "debug");
    let mut others: Vec<Imap> = (0..4).map(|_| Imap::log_in(loft.imap, "u1")).collect();
    fill(&mut others[0]);
    others.iter_mut().for_each(begin_endless);

    // More searches than cores are at work: who asks for little is answered soon.
    let begun = Instant::now();
    let mut imap = Imap::log_in(loft.imap, "u1");
    imap.ok("SELECT INBOX");
    for _ in 0..20 {
        imap.ok("NOOP");
    }
    assert!(imap.ok("FETCH 1 BODY.PEEK[]").len() > 10_000);
    assert_eq!(imap.ok("SEARCH SUBJECT none")[0], "* SEARCH");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(!loft.log().contains("given up"));

    drop(others);
    let begun = Instant::now();
    while loft.log().matches("given up").count() < 4 {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", loft.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(imap.ok("SEARCH SUBJECT none")[0], "* SEARCH");
}

#[test]
fn a_long_search_does_not_delay_the_stop() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    fill(&mut imap);
    begin_endless(&mut imap);
    // Once this is answered, the search has begun or waits for its turn.
    Imap::log_in(loft.imap, "u1").ok("NOOP");
    let begun = Instant::now();
    loft.ask_to_stop();
    let rest = imap.rest();
    assert!(rest.contains("t NO [UNAVAILABLE]") && rest.contains("* BYE"), "{rest}");
    assert!(loft.ended().success());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn text_is_found_as_it_is_read() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    imap.append(
        "INBOX",
        "Subject: =?koi8-r?B?79TQ1dPL?=\r\nContent-Type: text/plain; charset=iso-8859-2\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n=A3=F3d=BC\r\n",
    );
    imap.ok("SELECT INBOX");
    for (key, found) in [("SUBJECT", "отпуск"), ("BODY", "łódź"), ("TEXT", "ŁÓDŹ")] {
        imap.send(
            format!("t SEARCH CHARSET UTF-8 {key} {{{}+}}\r\n{found}\r\n", found.len()).as_bytes(),
        )
        .unwrap();
        assert_eq!(imap.reply().unwrap()[0], "* SEARCH 1", "{key} {found}");
    }
    imap.send(b"t SEARCH CHARSET KOI8-R SUBJECT {6+}\r\n\xef\xf4\xf0\xf5\xf3\xeb\r\n").unwrap();
    assert_eq!(imap.reply().unwrap()[0], "* SEARCH 1");
}

#[test]
fn a_search_in_turns_finds_each_message_once() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    // More than are looked up at a time.
    let (count, at_once) = (2500, 100);
    for first in (0..count).step_by(at_once) {
        let mut append = "t APPEND INBOX".to_owned();
        for number in first..first + at_once {
            let mail =
                format!("Subject: number {number}\r\n\r\n{}\r\n", ["even", "odd"][number % 2]);
            append.push_str(&format!(" {{{}+}}\r\n{mail}", mail.len()));
        }
        imap.send(format!("{append}\r\n").as_bytes()).unwrap();
        assert!(imap.reply().unwrap().last().unwrap().starts_with("t OK"));
    }
    imap.ok("SELECT INBOX");
    imap.ok("STORE 1:1000 +FLAGS.SILENT (\\Flagged)");
    let mut found =
        |keys: &str| imap.ok(&format!("SEARCH RETURN (COUNT MIN MAX) {keys}"))[0].clone();
    assert_eq!(found("BODY odd"), "* ESEARCH (TAG \"t\") MIN 2 MAX 2500 COUNT 1250");
    assert_eq!(found("NOT SUBJECT number"), "* ESEARCH (TAG \"t\") COUNT 0");
    // Some by their flags, some by their text, in one ascending set.
    assert_eq!(found("OR FLAGGED BODY odd"), "* ESEARCH (TAG \"t\") MIN 1 MAX 2500 COUNT 1750");
    assert_eq!(found("FLAGGED BODY even"), "* ESEARCH (TAG \"t\") MIN 1 MAX 999 COUNT 500");
}
