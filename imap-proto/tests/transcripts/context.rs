//! Results that are kept up to date (RFC 5267 §4).

use std::sync::Arc;

use imap_proto::model::{Driver, Happening, Model};
use imap_proto::{Ask, Config, Event, MailboxName, Output, Peer, Session, Time, Uid};
use proptest::prelude::*;

use crate::play::{Stage, play, play_user};

#[test]
fn rfc5267_4_3_search_is_kept_up_to_date() {
    insta::assert_snapshot!(play("C: a UID SEARCH RETURN (UPDATE COUNT) FLAGGED | C: b STORE 2 +FLAGS (\\Flagged) | C: c STORE 1:3 +FLAGS.SILENT (\\Flagged) | C: d STORE 2 -FLAGS.SILENT (\\Flagged) | C: e STORE 2 +FLAGS.SILENT (\\Seen) | M: flag 2 | C: f NOOP"), @r#"
    C: a UID SEARCH RETURN (UPDATE COUNT) FLAGGED
    Q: search
    S: * ESEARCH (TAG "a") UID COUNT 0
    S: a OK Done
    C: b STORE 2 +FLAGS (\Flagged)
    Q: store 2 Add
    S: * 2 FETCH (FLAGS (\Flagged \Recent))
    Q: search
    S: * ESEARCH (TAG "a") UID ADDTO (0 2)
    S: b OK Stored
    C: c STORE 1:3 +FLAGS.SILENT (\Flagged)
    Q: store 1:3 Add
    Q: search
    S: * ESEARCH (TAG "a") UID ADDTO (0 1,3)
    S: c OK Stored
    C: d STORE 2 -FLAGS.SILENT (\Flagged)
    Q: store 2 Remove
    Q: search
    S: * ESEARCH (TAG "a") UID REMOVEFROM (0 2)
    S: d OK Stored
    C: e STORE 2 +FLAGS.SILENT (\Seen)
    Q: store 2 Add
    Q: search
    S: e OK Stored
    M: flag 2
    C: f NOOP
    Q: changes
    S: * 2 FETCH (FLAGS (\Flagged \Seen \Recent))
    Q: search
    S: * ESEARCH (TAG "a") UID ADDTO (0 2)
    S: f OK Done
    "#);
}

#[test]
fn rfc5267_4_3_2_message_numbers_are_those_of_the_moment() {
    insta::assert_snapshot!(play("C: a SEARCH RETURN (UPDATE ALL) NOT SEEN | M: expunge 2 | M: deliver | C: b NOOP | C: c FETCH 2 BODY[] | C: d STORE 1:* +FLAGS.SILENT (\\Seen \\Deleted) | C: e EXPUNGE"), @r#"
    C: a SEARCH RETURN (UPDATE ALL) NOT SEEN
    Q: search
    S: * ESEARCH (TAG "a") ALL 1:3
    S: a OK Done
    M: expunge 2
    M: deliver
    C: b NOOP
    Q: changes
    S: * ESEARCH (TAG "a") REMOVEFROM (0 2)
    S: * 2 EXPUNGE
    S: * 3 EXISTS
    S: * 3 RECENT
    Q: search
    S: * ESEARCH (TAG "a") ADDTO (0 3)
    S: b OK Done
    C: c FETCH 2 BODY[]
    Q: store 3 Add
    Q: fetch 3+1
    S: * 2 FETCH (FLAGS (\Seen \Recent) BODY[] {52}
    S: From: a3@example.org
    S: Subject: number 3
    S: 
    S: Text 3.
    S: )
    Q: search
    S: * ESEARCH (TAG "a") REMOVEFROM (0 2)
    S: c OK Done
    C: d STORE 1:* +FLAGS.SILENT (\Seen \Deleted)
    Q: store 1,3:4 Add
    Q: search
    S: * ESEARCH (TAG "a") REMOVEFROM (0 1,3)
    S: d OK Stored
    C: e EXPUNGE
    Q: expunge
    Q: changes
    S: * 3 EXPUNGE
    S: * 2 EXPUNGE
    S: * 1 EXPUNGE
    S: e OK Expunged
    "#);
}

/// What was found by number or saved is what it was then, whatever number it has now.
#[test]
fn rfc5267_4_3_numbers_of_the_command_stay_what_they_were() {
    insta::assert_snapshot!(play("C: a UID SEARCH RETURN (UPDATE ALL) 2:3 NOT SEEN | M: expunge 1 | M: deliver | C: b NOOP | C: c UID STORE 2 +FLAGS.SILENT (\\Seen) | C: d UID STORE 2,4 -FLAGS.SILENT (\\Seen)"), @r#"
    C: a UID SEARCH RETURN (UPDATE ALL) 2:3 NOT SEEN
    Q: search
    S: * ESEARCH (TAG "a") UID ALL 2:3
    S: a OK Done
    M: expunge 1
    M: deliver
    C: b NOOP
    Q: changes
    S: * 1 EXPUNGE
    S: * 3 EXISTS
    S: * 3 RECENT
    Q: search
    S: b OK Done
    C: c UID STORE 2 +FLAGS.SILENT (\Seen)
    Q: store 2 Add
    Q: search
    S: * ESEARCH (TAG "a") UID REMOVEFROM (0 2)
    S: c OK Stored
    C: d UID STORE 2,4 -FLAGS.SILENT (\Seen)
    Q: store 2,4 Remove
    Q: search
    S: * ESEARCH (TAG "a") UID ADDTO (0 2)
    S: d OK Stored
    "#);
}

#[test]
fn rfc5267_4_3_updates_come_while_idle() {
    insta::assert_snapshot!(play("C: a SEARCH RETURN (UPDATE) FLAGGED | C: b UID SEARCH RETURN (UPDATE) ALL | C: c IDLE | M: flag 3 | M: deliver | M: expunge 1 | C: DONE"), @r#"
    C: a SEARCH RETURN (UPDATE) FLAGGED
    Q: search
    S: * ESEARCH (TAG "a")
    S: a OK Done
    C: b UID SEARCH RETURN (UPDATE) ALL
    Q: search
    S: * ESEARCH (TAG "b") UID
    S: b OK Done
    C: c IDLE
    S: + idling
    Q: changes
    M: flag 3
    Q: changes
    S: * 3 FETCH (FLAGS (\Flagged \Recent))
    Q: search
    S: * ESEARCH (TAG "a") ADDTO (0 3)
    Q: search
    M: deliver
    Q: changes
    S: * 4 EXISTS
    S: * 4 RECENT
    Q: search
    Q: search
    S: * ESEARCH (TAG "b") UID ADDTO (0 4)
    M: expunge 1
    Q: changes
    S: * ESEARCH (TAG "b") UID REMOVEFROM (0 1)
    S: * 1 EXPUNGE
    C: DONE
    S: c OK Done
    "#);
}

#[test]
fn rfc5267_4_3_sort_is_kept_in_its_order() {
    let stage = Stage {
        messages: 0,
        before: "C: 0 LOGIN u pw | M: mail Subject: d | M: mail Subject: b | M: mail Subject: f | M: mail Subject: h | C: 0 SELECT INBOX",
        ..Stage::default()
    };
    insta::assert_snapshot!(stage.play("C: a UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNSEEN | M: mail Subject: a | M: mail Subject: g | M: mail Subject: c | M: mail Subject: e | M: mail Subject: ee | C: b NOOP | C: c STORE 1,3,9 +FLAGS.SILENT (\\Seen) | C: d STORE 3 -FLAGS.SILENT (\\Seen) | M: expunge 5 | M: expunge 2 | C: e NOOP | C: f UID SORT (SUBJECT) UTF-8 UNSEEN"), @r#"
    C: a UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNSEEN
    Q: sort
    S: * ESEARCH (TAG "a") UID ALL 2,1,3:4
    S: a OK Done
    M: mail Subject: a
    M: mail Subject: g
    M: mail Subject: c
    M: mail Subject: e
    M: mail Subject: ee
    C: b NOOP
    Q: changes
    S: * 9 EXISTS
    S: * 9 RECENT
    Q: search
    Q: sort
    S: * ESEARCH (TAG "a") UID ADDTO (1 5 3 7 5 8:9 8 6)
    S: b OK Done
    C: c STORE 1,3,9 +FLAGS.SILENT (\Seen)
    Q: store 1,3,9 Add
    Q: search
    S: * ESEARCH (TAG "a") UID REMOVEFROM (4 1 5 9,3)
    S: c OK Stored
    C: d STORE 3 -FLAGS.SILENT (\Seen)
    Q: store 3 Remove
    Q: search
    Q: sort
    S: * ESEARCH (TAG "a") UID ADDTO (5 3)
    S: d OK Stored
    M: expunge 5
    M: expunge 2
    C: e NOOP
    Q: changes
    S: * ESEARCH (TAG "a") UID REMOVEFROM (1 5,2)
    S: * 5 EXPUNGE
    S: * 2 EXPUNGE
    S: e OK Done
    C: f UID SORT (SUBJECT) UTF-8 UNSEEN
    Q: sort
    S: * SORT 7 8 3 6 4
    S: f OK Done
    "#);
}

/// A message that is expunged, but not told of, is no longer among the results that are sorted.
#[test]
fn rfc5267_a_3_an_expunge_is_told_to_the_results_first() {
    insta::assert_snapshot!(play("C: a SORT RETURN (UPDATE ALL) (REVERSE SUBJECT) UTF-8 NOT FLAGGED | C: b STORE 3 +FLAGS.SILENT (\\Flagged) | M: expunge 2 | C: c STORE 3 -FLAGS.SILENT (\\Flagged) | C: d NOOP"), @r#"
    C: a SORT RETURN (UPDATE ALL) (REVERSE SUBJECT) UTF-8 NOT FLAGGED
    Q: sort
    S: * ESEARCH (TAG "a") ALL 3,2,1
    S: a OK Done
    C: b STORE 3 +FLAGS.SILENT (\Flagged)
    Q: store 3 Add
    Q: search
    S: * ESEARCH (TAG "a") REMOVEFROM (1 3)
    S: b OK Stored
    M: expunge 2
    C: c STORE 3 -FLAGS.SILENT (\Flagged)
    Q: store 3 Remove
    Q: changes but expunges
    Q: search
    Q: sort
    S: * ESEARCH (TAG "a") REMOVEFROM (1 2)
    S: * ESEARCH (TAG "a") ADDTO (1 3)
    S: c OK Stored
    C: d NOOP
    Q: changes
    S: * 2 EXPUNGE
    S: d OK Done
    "#);
}

#[test]
fn rfc5267_4_3_1_too_many_contexts_are_refused() {
    let mut stage = Stage { before: "C: 0 LOGIN u pw | C: 0 SELECT INBOX", ..Stage::default() };
    stage.config.limits.contexts = 2;
    stage.config.limits.sorted_context = 2;
    insta::assert_snapshot!(stage.play("C: a SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 ALL | C: b SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 1:2 | C: c SEARCH RETURN (UPDATE) ALL | C: d SEARCH RETURN (UPDATE MIN) ALL | C: e CANCELUPDATE \"b\" | C: f SEARCH RETURN (UPDATE) ALL"), @r#"
    C: a SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 ALL
    Q: sort
    S: * ESEARCH (TAG "a") COUNT 3
    S: * NO [NOUPDATE "a"] Too many results
    S: a OK Done
    C: b SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 1:2
    Q: sort
    S: * ESEARCH (TAG "b") COUNT 2
    S: b OK Done
    C: c SEARCH RETURN (UPDATE) ALL
    Q: search
    S: * ESEARCH (TAG "c")
    S: c OK Done
    C: d SEARCH RETURN (UPDATE MIN) ALL
    Q: search
    S: * ESEARCH (TAG "d") MIN 1
    S: * NO [NOUPDATE "d"] Too many contexts
    S: d OK Done
    C: e CANCELUPDATE "b"
    S: e OK No further updates
    C: f SEARCH RETURN (UPDATE) ALL
    Q: search
    S: * ESEARCH (TAG "f")
    S: f OK Done
    "#);
}

#[test]
fn rfc5267_4_3_a_tag_has_one_context() {
    insta::assert_snapshot!(play("C: a SEARCH RETURN (UPDATE COUNT) ALL | C: a SORT RETURN (UPDATE) (DATE) UTF-8 FLAGGED | C: a SEARCH RETURN (COUNT) ALL | C: b CANCELUPDATE \"a\" | C: a SEARCH RETURN (UPDATE COUNT) ALL"), @r#"
    C: a SEARCH RETURN (UPDATE COUNT) ALL
    Q: search
    S: * ESEARCH (TAG "a") COUNT 3
    S: a OK Done
    C: a SORT RETURN (UPDATE) (DATE) UTF-8 FLAGGED
    S: a BAD Tag is in use by results that are kept up to date
    C: a SEARCH RETURN (COUNT) ALL
    Q: search
    S: * ESEARCH (TAG "a") COUNT 3
    S: a OK Done
    C: b CANCELUPDATE "a"
    S: b OK No further updates
    C: a SEARCH RETURN (UPDATE COUNT) ALL
    Q: search
    S: * ESEARCH (TAG "a") COUNT 3
    S: a OK Done
    "#);
}

#[test]
fn rfc5267_4_3_5_cancelupdate() {
    insta::assert_snapshot!(play("C: a SEARCH RETURN (UPDATE) FLAGGED | C: b SEARCH RETURN (UPDATE) ALL | C: c CANCELUPDATE \"x\" | C: d CANCELUPDATE \"a\" \"x\" | C: e CANCELUPDATE \"a\" \"b\" | C: f STORE 1 +FLAGS (\\Flagged) | C: g CANCELUPDATE | C: h CANCELUPDATE a"), @r#"
    C: a SEARCH RETURN (UPDATE) FLAGGED
    Q: search
    S: * ESEARCH (TAG "a")
    S: a OK Done
    C: b SEARCH RETURN (UPDATE) ALL
    Q: search
    S: * ESEARCH (TAG "b")
    S: b OK Done
    C: c CANCELUPDATE "x"
    S: c BAD No results are kept for this tag
    C: d CANCELUPDATE "a" "x"
    S: d BAD No results are kept for this tag
    C: e CANCELUPDATE "a" "b"
    S: e OK No further updates
    C: f STORE 1 +FLAGS (\Flagged)
    Q: store 1 Add
    S: * 1 FETCH (FLAGS (\Flagged \Recent))
    S: f OK Stored
    C: g CANCELUPDATE
    S: g BAD Expected a space
    C: h CANCELUPDATE a
    S: h BAD Expected a string
    "#);
    insta::assert_snapshot!(play_user("C: a CANCELUPDATE \"a\""), @r#"
    C: a CANCELUPDATE "a"
    S: a BAD No mailbox is selected
    "#);
}

/// They end with the mailbox.
#[test]
fn rfc5267_4_3_updates_cease_with_the_mailbox() {
    insta::assert_snapshot!(play("C: a SEARCH RETURN (UPDATE) FLAGGED | C: b SELECT INBOX | C: c STORE 1 +FLAGS.SILENT (\\Flagged) | C: d CANCELUPDATE \"a\""), @r#"
    C: a SEARCH RETURN (UPDATE) FLAGGED
    Q: search
    S: * ESEARCH (TAG "a")
    S: a OK Done
    C: b SELECT INBOX
    S: * OK [CLOSED] Previous mailbox is closed
    Q: select INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 3 EXISTS
    S: * 0 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: b OK [READ-WRITE] Selected
    C: c STORE 1 +FLAGS.SILENT (\Flagged)
    Q: store 1 Add
    S: c OK Stored
    C: d CANCELUPDATE "a"
    S: d BAD No results are kept for this tag
    "#);
}

#[test]
fn rfc5267_4_2_context_is_a_hint() {
    insta::assert_snapshot!(play("C: a SEARCH RETURN (CONTEXT COUNT) ALL | C: b UID SORT RETURN (CONTEXT PARTIAL 1:2) (REVERSE SUBJECT) UTF-8 ALL | C: c SEARCH RETURN (CONTEXT) ALL | C: d SEARCH RETURN (UPDATE SAVE) ALL"), @r#"
    C: a SEARCH RETURN (CONTEXT COUNT) ALL
    Q: search
    S: * ESEARCH (TAG "a") COUNT 3
    S: a OK Done
    C: b UID SORT RETURN (CONTEXT PARTIAL 1:2) (REVERSE SUBJECT) UTF-8 ALL
    Q: sort
    S: * ESEARCH (TAG "b") UID PARTIAL (1:2 3,2)
    S: b OK Done
    C: c SEARCH RETURN (CONTEXT) ALL
    Q: search
    S: * ESEARCH (TAG "c")
    S: c OK Done
    C: d SEARCH RETURN (UPDATE SAVE) ALL
    Q: search
    S: * ESEARCH (TAG "d")
    S: d OK Done
    "#);
}

/// Who hangs up waits for no look at results; the command that made it due is answered.
#[test]
fn a_hang_up_or_stop_ends_the_look_at_results() {
    for (command, event, wanted) in [
        ("c IDLE\r\n", None, ""),
        ("c NOOP\r\n", None, "c OK Done\r\n"),
        ("c NOOP\r\n", Some(Event::Shutdown), "c OK Done\r\n* BYE"),
    ] {
        let peer = Peer { tls: false, loopback: true };
        let now = Time(0);
        let mut session = Session::new(Arc::new(Config::default()), peer, now);
        let mut model = Model::new(3);
        let (mut said, mut searches, mut cancelled) = (Vec::new(), 0, false);
        let mut run = |session: &mut Session, model: &mut Model| {
            loop {
                match session.poll_output(now) {
                    Output::Transmit(bytes) => {
                        said.extend_from_slice(bytes);
                        let sent = bytes.len();
                        session.transmitted(now, sent);
                    }
                    Output::Ask(ticket, ask) => {
                        searches += usize::from(matches!(ask, Ask::Search { .. }));
                        // The second is not answered.
                        if !(matches!(ask, Ask::Search { .. }) && searches == 2)
                            && let Some(answer) = model.answer(ask)
                        {
                            session.handle_answer(now, ticket, answer);
                            session.handle_durable(now, model.position());
                        }
                    }
                    Output::Cancel(_) => cancelled = true,
                    Output::Splice(..)
                    | Output::Body(..)
                    | Output::Upgrade
                    | Output::Wait { .. }
                    | Output::Close => break,
                }
            }
            (String::from_utf8_lossy(&std::mem::take(&mut said)).into_owned(), cancelled)
        };
        for line in
            ["a LOGIN u pw\r\n", "b SELECT INBOX\r\n", "u SEARCH RETURN (UPDATE) FLAGGED\r\n"]
        {
            session.handle_input(now, line.as_bytes());
            run(&mut session, &mut model);
        }
        model.flag(Uid(2));
        session.handle_event(now, Event::Changed);
        session.handle_input(now, command.as_bytes());
        let (before, cancelled) = run(&mut session, &mut model);
        assert!(before.contains("FETCH") && !before.contains("c OK") && !cancelled, "{before}");
        match event {
            Some(event) => session.handle_event(now, event),
            None => session.handle_eof(now),
        }
        let (after, cancelled) = run(&mut session, &mut model);
        assert!(cancelled && after.starts_with(wanted), "{after}");
    }
}

/// Results as a client keeps them.
#[derive(Debug, Default)]
struct Results(Vec<u32>);

impl Results {
    /// Takes in what an ESEARCH response says (RFC 5267 §4.3.3, §4.3.4).
    fn take(&mut self, line: &str) {
        let (_, data) = line.split_once(") UID ").unwrap_or_default();
        let (name, list) = data.split_once(' ').unwrap_or_default();
        let words: Vec<&str> = list.trim_matches(['(', ')']).split(' ').collect();
        let pairs = words.chunks(2).filter_map(|pair| Some((pair.first()?, numbers(pair.get(1)?))));
        match name {
            "ALL" => self.0 = numbers(list),
            "ADDTO" => pairs.for_each(|(place, uids)| self.add(place, &uids)),
            "REMOVEFROM" => pairs.for_each(|(place, uids)| self.remove(place, &uids)),
            _ => {}
        }
    }

    fn add(&mut self, place: &str, uids: &[u32]) {
        match place.parse::<usize>().expect("a place") {
            0 => {
                self.0.extend(uids);
                self.0.sort_unstable();
            }
            place => drop(self.0.splice(place - 1..place - 1, uids.iter().copied())),
        }
    }

    fn remove(&mut self, place: &str, uids: &[u32]) {
        let at = match place.parse::<usize>().expect("a place") {
            0 => return self.0.retain(|uid| !uids.contains(uid)),
            place => place - 1,
        };
        let gone: Vec<u32> = self.0.drain(at..at + uids.len()).collect();
        assert_eq!(gone, uids);
    }
}

/// A `sequence-set`, in its order.
fn numbers(set: &str) -> Vec<u32> {
    let number = |text: &str| text.parse::<u32>().expect("a number");
    set.split(',')
        .filter(|range| !range.is_empty())
        .flat_map(|range| match range.split_once(':') {
            Some((first, last)) => number(first)..=number(last),
            None => number(range)..=number(range),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_client_that_follows_updates_knows_the_results(
        search in prop::sample::select(vec![
            "UID SEARCH RETURN (UPDATE ALL) UNSEEN",
            "UID SEARCH RETURN (UPDATE ALL) OR FLAGGED SUBJECT b",
            "UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNSEEN",
            "UID SORT RETURN (UPDATE ALL) (REVERSE SUBJECT REVERSE SIZE) UTF-8 NOT FLAGGED",
        ]),
        steps in prop::collection::vec((0u8..7, 1u32..12), 0..30),
    ) {
        let peer = Peer { tls: false, loopback: true };
        let mut driver = Driver::new(Config::default(), peer, Model::new(4));
        let mut results = Results::default();
        let mut send = |driver: &mut Driver, command: &str| {
            driver.log.clear();
            driver.receive(format!("{command}\r\n").as_bytes());
            let mut sorted = Vec::new();
            for happening in &driver.log {
                let Happening::Sent(bytes) = happening else { continue };
                for line in String::from_utf8_lossy(bytes).lines() {
                    if line.starts_with("* ESEARCH (TAG \"u\"") {
                        results.take(line);
                    }
                    if let Some(found) = line.strip_prefix("* ESEARCH (TAG \"z\") UID ALL ") {
                        sorted = numbers(found);
                    }
                }
            }
            (sorted, results.0.clone())
        };
        for command in ["a LOGIN u pw", "b SELECT INBOX", &format!("u {search}")] {
            send(&mut driver, command);
        }
        for (what, n) in steps {
            match what {
                0 => {
                    let subject = ["a", "b", "c", "B"][n as usize % 4];
                    let text = format!("Subject: {subject}\r\n\r\n{}", "x".repeat(n as usize % 3));
                    driver.model.deliver(&MailboxName::inbox(), text.as_bytes());
                    driver.event(Event::Changed);
                }
                1 => {
                    driver.model.flag(Uid(n));
                    driver.event(Event::Changed);
                }
                2 => {
                    driver.model.expunge(Uid(n));
                    driver.event(Event::Changed);
                }
                3 => drop(send(&mut driver, &format!("s UID STORE {n}:* +FLAGS.SILENT (\\Seen)"))),
                4 => drop(send(&mut driver, &format!("s UID STORE {n} -FLAGS (\\Seen \\Flagged)"))),
                5 => drop(send(&mut driver, &format!("f UID FETCH {n} BODY[]"))),
                _ => drop(send(&mut driver, "n NOOP")),
            }
        }
        send(&mut driver, "n NOOP");
        let again = format!("z {}", search.replace("UPDATE ", ""));
        let (fresh, kept) = send(&mut driver, &again);
        prop_assert_eq!(kept, fresh);
    }
}
