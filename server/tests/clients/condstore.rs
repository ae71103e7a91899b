//! What a client that kept mod-sequences does when it comes back (RFC 7162 §6), against the real server.

use crate::harness::{Loft, temporary};
use crate::wire::Imap;
use std::collections::BTreeMap;

/// The number behind `name` in one of the lines.
fn number(lines: &[String], name: &str) -> u64 {
    let behind = lines.iter().find_map(|line| Some(line.split_once(name)?.1));
    let behind = behind.unwrap_or_else(|| panic!("no {name:?} in {lines:?}"));
    let digits: String =
        behind.trim_start_matches(['(', ' ']).chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// The object id behind `name` in one of the lines.
fn id(lines: &[String], name: &str) -> String {
    let behind = lines.iter().find_map(|line| Some(line.split_once(&format!("{name} ("))?.1));
    behind.unwrap_or_else(|| panic!("no {name} in {lines:?}")).split(')').next().unwrap().to_owned()
}

/// What FETCH rows say: flags and mod-sequence by UID.
fn rows(lines: &[String]) -> BTreeMap<u64, (String, u64)> {
    let rows = lines.iter().filter(|line| line.contains(" FETCH ("));
    rows.map(|row| {
        let of = std::slice::from_ref(row);
        let flags = row.split_once("FLAGS (").unwrap().1.split(')').next().unwrap();
        let flags = flags.replace("\\Recent", "").trim().to_owned();
        (number(of, "UID"), (flags, number(of, "MODSEQ")))
    })
    .collect()
}

/// A client's copy of a mailbox.
struct Copy {
    uidvalidity: u64,
    modseq: u64,
    messages: BTreeMap<u64, (String, u64)>,
}

impl Copy {
    fn new(imap: &mut Imap) -> Self {
        let lines = imap.ok("SELECT INBOX (CONDSTORE)");
        let (uidvalidity, modseq) =
            (number(&lines, "UIDVALIDITY"), number(&lines, "HIGHESTMODSEQ"));
        let messages = rows(&imap.ok("UID FETCH 1:* (FLAGS MODSEQ)"));
        Self { uidvalidity, modseq, messages }
    }

    /// Catches up as RFC 7162 §6 says, and gives the UIDs of the rows that came.
    fn resync(&mut self, imap: &mut Imap) -> Vec<u64> {
        let lines = imap.ok("SELECT INBOX (CONDSTORE)");
        assert_eq!(number(&lines, "UIDVALIDITY"), self.uidvalidity);
        let highest = number(&lines, "HIGHESTMODSEQ");
        assert!(highest >= self.modseq, "HIGHESTMODSEQ fell from {} to {highest}", self.modseq);
        let changed =
            rows(&imap.ok(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {})", self.modseq)));
        let uids = changed.keys().copied().collect();
        self.messages.extend(changed);
        let all = imap.ok("UID SEARCH ALL");
        let all = all.iter().find_map(|line| line.strip_prefix("* SEARCH")).unwrap();
        let all: Vec<u64> = all.split_whitespace().map(|uid| uid.parse().unwrap()).collect();
        self.messages.retain(|uid, _| all.contains(uid));
        self.modseq = highest;
        uids
    }

    fn assert_complete(&self, imap: &mut Imap) {
        assert_eq!(self.messages, rows(&imap.ok("UID FETCH 1:* (FLAGS MODSEQ)")));
    }
}

fn filled(loft: &Loft, count: usize) -> Imap {
    let mut imap = Imap::log_in(loft.imap, "u1");
    for n in 1..=count {
        imap.append("INBOX", &format!("Subject: {n}\r\n\r\nmail {n}\r\n"));
    }
    imap
}

#[test]
fn rfc7162_6_a_client_catches_up_over_restarts() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut writer = filled(&loft, 20);
    writer.ok("SELECT INBOX");
    let mut reader = Imap::log_in(loft.imap, "u1");
    let mut copy = Copy::new(&mut reader);
    assert_eq!(copy.messages.len(), 20);
    assert!(copy.resync(&mut reader).is_empty(), "nothing has changed");

    // Another session changes flags; this one hears of it, and could have asked.
    writer.ok("STORE 3,7:8 +FLAGS.SILENT (\\Seen work)");
    let told = rows(&reader.ok("NOOP"));
    assert_eq!(told.keys().copied().collect::<Vec<_>>(), [3, 7, 8]);
    assert_eq!(copy.resync(&mut reader), [3, 7, 8]);
    assert!(told.iter().all(|(uid, row)| copy.messages[uid] == *row));
    copy.assert_complete(&mut reader);

    // What nobody was connected to hear of, over an orderly stop.
    drop(reader);
    writer.ok("STORE 1 FLAGS (\\Flagged)");
    writer.ok("STORE 20 +FLAGS (\\Deleted)");
    writer.ok("EXPUNGE");
    writer.append("INBOX", "Subject: 21\r\n\r\nmail 21\r\n");
    assert!(loft.stop().success());
    let loft = Loft::start(&dir);
    let mut reader = Imap::log_in(loft.imap, "u1");
    let status = reader.ok("STATUS INBOX (HIGHESTMODSEQ)");
    assert_eq!(copy.resync(&mut reader), [1, 21]);
    assert_eq!(number(&status, "HIGHESTMODSEQ"), copy.modseq, "unopened it says the same");
    copy.assert_complete(&mut reader);
    assert_eq!(copy.messages.len(), 20);

    // And over one that is not: what was told is not told otherwise, and new numbers are above.
    let mut writer = Imap::log_in(loft.imap, "u1");
    writer.ok("SELECT INBOX");
    let told =
        number(&writer.ok("STORE 5 (UNCHANGEDSINCE 9223372036854775807) -FLAGS ()"), "MODSEQ");
    assert_eq!(told, copy.messages[&5].1, "a change of nothing");
    let told = number(&writer.ok("UID STORE 5 +FLAGS (\\Answered)"), "MODSEQ");
    loft.kill();
    let loft = Loft::start(&dir);
    let mut reader = Imap::log_in(loft.imap, "u1");
    let status = number(&reader.ok("STATUS INBOX (HIGHESTMODSEQ)"), "HIGHESTMODSEQ");
    assert_eq!(copy.resync(&mut reader), [5]);
    assert_eq!(status, copy.modseq, "unopened it says the same");
    assert_eq!(copy.messages[&5], ("\\Answered".to_owned(), told));
    let next = number(&reader.ok("UID STORE 6 +FLAGS (\\Answered)"), "MODSEQ");
    assert!(next > told && next > copy.modseq);
    assert_eq!(copy.resync(&mut reader), [6]);
    copy.assert_complete(&mut reader);
}

#[test]
fn rfc7162_3_1_3_two_sessions_test_and_set() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    drop(filled(&loft, 4));
    let (mut one, mut two) = (Imap::log_in(loft.imap, "u1"), Imap::log_in(loft.imap, "u1"));
    let since = Copy::new(&mut one).modseq;
    let _known = Copy::new(&mut two);
    // Both have seen the same state: each message goes to one of them.
    let mine = one.ok(&format!("STORE 1:3 (UNCHANGEDSINCE {since}) +FLAGS.SILENT ($One)"));
    assert_eq!(mine.last().unwrap(), "t OK Stored");
    let theirs = two.ok(&format!("STORE 2:4 (UNCHANGEDSINCE {since}) +FLAGS.SILENT ($Two)"));
    assert!(theirs.last().unwrap().starts_with("t OK [MODIFIED 2:3]"), "{theirs:?}");
    let by_uid = two.ok(&format!("UID STORE 1 (UNCHANGEDSINCE {since}) FLAGS.SILENT ()"));
    assert!(by_uid.last().unwrap().starts_with("t OK [MODIFIED 1]"), "{by_uid:?}");
    let rows = rows(&one.ok("UID FETCH 1:* (FLAGS MODSEQ)"));
    let flags: Vec<&str> = rows.values().map(|(flags, _)| flags.as_str()).collect();
    assert_eq!(flags, ["$One", "$One", "$One", "$Two"]);
    // Two STOREs never share a mod-sequence, and the later one's is higher.
    assert!(rows[&4].1 > rows[&1].1 && rows[&1].1 == rows[&3].1);
    // What the reply said is what FETCH says.
    assert_eq!(number(&mine, "MODSEQ"), rows[&1].1);
    let last = theirs.iter().find(|line| line.starts_with("* 4 FETCH")).unwrap();
    assert_eq!(number(std::slice::from_ref(last), "MODSEQ"), rows[&4].1);
    // SEARCH agrees, and tells the highest of what it found.
    let found = one.ok(&format!("UID SEARCH MODSEQ {}", rows[&4].1));
    assert!(found.contains(&format!("* SEARCH 4 (MODSEQ {})", rows[&4].1)), "{found:?}");
    let found = one.ok(&format!("SEARCH RETURN (MIN) MODSEQ {since}"));
    assert_eq!(number(&found, " MODSEQ"), rows[&1].1);
}

#[test]
fn rfc7162_3_1_3_expunged_meanwhile() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    drop(filled(&loft, 3));
    let (mut one, mut two) = (Imap::log_in(loft.imap, "u1"), Imap::log_in(loft.imap, "u1"));
    let since = Copy::new(&mut one).modseq;
    two.ok("SELECT INBOX");
    two.ok("UID STORE 2 +FLAGS (\\Deleted)");
    two.ok("UID EXPUNGE 2");
    let lines =
        one.command(&format!("STORE 2 (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Seen)")).unwrap();
    assert!(lines.last().unwrap().starts_with("t NO [EXPUNGEISSUED]"), "{lines:?}");
    // By their numbers messages are copied all or not at all; a UID without a message is nothing.
    let lines = one.command("COPY 1:2 Archive").unwrap();
    assert!(lines.last().unwrap().starts_with("t NO [EXPUNGEISSUED]"), "{lines:?}");
    assert!(lines.contains(&"* 2 EXPUNGE".to_owned()), "{lines:?}");
    let lines = two.ok("STATUS Archive (MESSAGES)");
    assert_eq!(number(&lines, "MESSAGES"), 0);
    let lines = one.ok(&format!("UID STORE 2:3 (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Seen)"));
    assert!(lines[0].starts_with("* 2 FETCH (UID 3 MODSEQ ("), "{lines:?}");
}

/// A mailbox too large to be looked at between two other sessions: the answer is what changed, and no more.
#[test]
fn row_50_a_large_mailbox_and_absurd_numbers() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut imap = filled(&loft, 10);
    imap.ok("SELECT INBOX");
    for _ in 0..10 {
        imap.ok("COPY 1:* INBOX");
    }
    let count = 10 << 10;
    let since = Copy::new(&mut imap).modseq;
    let lines = imap.ok(&format!("FETCH 1:* (FLAGS) (CHANGEDSINCE {since})"));
    assert_eq!(lines.len(), 1, "{lines:?}");
    imap.ok(&format!("STORE 5000,{count} +FLAGS.SILENT (\\Seen)"));
    let set: Vec<String> = (1..=9000).map(|uid: u32| uid.to_string()).collect();
    let lines = imap.ok(&format!("UID FETCH {} (FLAGS) (CHANGEDSINCE {since})", set.join(",")));
    assert_eq!(rows(&lines).into_keys().collect::<Vec<_>>(), [5000]);
    for absurd in ["0", "-1", "9223372036854775808", "340282366920938463463374607431768211456", "x"]
    {
        let fetch = format!("FETCH 1:* (FLAGS) (CHANGEDSINCE {absurd})");
        assert!(imap.command(&fetch).unwrap()[0].starts_with("t BAD"), "{absurd}");
        imap.ok("NOOP");
    }
    let lines = imap.ok("FETCH 1:* (FLAGS) (CHANGEDSINCE 9223372036854775807)");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let lines = imap.ok("STORE 1:* (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Deleted)");
    assert!(lines.last().unwrap().starts_with(&format!("t OK [MODIFIED 1:{count}]")));
    assert_eq!(lines.len(), count + 1, "why each was left alone, and no more");
}

#[test]
fn rfc8474_ids_stay_with_what_they_name() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut imap = filled(&loft, 3);
    let created = id(&imap.ok("CREATE Lists/Rust"), "MAILBOXID");
    imap.ok("SELECT INBOX");
    let [ids, threads] = ["EMAILID", "THREADID"].map(|name| {
        (1..=3)
            .map(|n| id(&imap.ok(&format!("FETCH {n} (EMAILID THREADID)")), name))
            .collect::<Vec<String>>()
    });
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    imap.ok("COPY 1 Lists/Rust");
    imap.ok("MOVE 2 Lists/Rust");
    imap.ok("RENAME Lists/Rust Crates");
    assert!(loft.stop().success());
    let loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    assert_eq!(id(&imap.ok("STATUS Crates (MAILBOXID)"), "MAILBOXID"), created);
    assert_eq!(id(&imap.ok("SELECT Crates"), "MAILBOXID"), created);
    for (n, was) in [(1, &ids[0]), (2, &ids[1])] {
        // With the text and without: both ways to a row tell the same.
        assert_eq!(id(&imap.ok(&format!("FETCH {n} EMAILID")), "EMAILID"), *was);
        assert_eq!(id(&imap.ok(&format!("FETCH {n} (EMAILID ENVELOPE)")), "EMAILID"), *was);
        let found = imap.ok(&format!("SEARCH EMAILID {was}"));
        assert!(found.contains(&format!("* SEARCH {n}")), "{found:?}");
        let found = imap.ok(&format!("SEARCH EMAILID {was} BODY mail"));
        assert!(found.contains(&format!("* SEARCH {n}")), "{found:?}");
    }
    // RFC 8474 §5.2: what was reported stays, for a copy in another mailbox too.
    for (n, was) in [(1, &threads[0]), (2, &threads[1])] {
        assert_eq!(id(&imap.ok(&format!("FETCH {n} THREADID")), "THREADID"), *was);
        let found = imap.ok(&format!("SEARCH THREADID {was}"));
        assert!(found.contains(&format!("* SEARCH {n}")), "{found:?}");
    }
    for none in [
        format!("EMAILID {}", ids[2]),
        format!("THREADID {}", ids[0]),
        format!("THREADID {}", threads[2]),
    ] {
        assert!(imap.ok(&format!("SEARCH {none}")).contains(&"* SEARCH".to_owned()), "{none}");
    }
}

#[test]
fn rfc7889_the_limit_told_is_the_limit_kept() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    let limit = number(&imap.ok("CAPABILITY"), "APPENDLIMIT=");
    assert_eq!(number(&imap.ok("STATUS INBOX (APPENDLIMIT)"), "APPENDLIMIT "), limit);
    // Refused before a byte of it is sent.
    let lines = imap.command(&format!("APPEND INBOX {{{}}}", limit + 1)).unwrap();
    assert!(lines.last().unwrap().starts_with("t NO [TOOBIG]"), "{lines:?}");
    imap.append("INBOX", "Subject: x\r\n\r\n");
}

/// RFC 8514 §3: when it was saved, not what APPEND says, and anew for a copy.
#[test]
fn rfc8514_save_dates_are_not_the_clients() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    imap.send(b"t APPEND INBOX \"17-Jul-1996 02:44:25 -0700\" {14+}\r\nSubject: x\r\n\r\n\r\n")
        .unwrap();
    assert!(imap.reply().unwrap().last().unwrap().starts_with("t OK"));
    imap.ok("SELECT INBOX");
    let lines = imap.ok("FETCH 1 (INTERNALDATE SAVEDATE)");
    assert!(lines[0].contains("INTERNALDATE \"17-Jul-1996 09:44:25 +0000\""), "{lines:?}");
    assert!(!lines[0].split_once("SAVEDATE").unwrap().1.contains("1996"), "{lines:?}");
    assert!(imap.ok("SEARCH SAVEDSINCE 1-Jan-2020").contains(&"* SEARCH 1".to_owned()));
    assert!(imap.ok("SEARCH SAVEDBEFORE 1-Jan-2020").contains(&"* SEARCH".to_owned()));
}

/// What a client remembers under a name, a UIDVALIDITY and a UID is that message, or gone.
#[test]
fn row_61_uidvalidity_only_rises() {
    let dir = temporary();
    let mut loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    let mut highest = 0;
    let mut ids = Vec::new();
    let mut known: BTreeMap<(String, u64), String> = BTreeMap::new();
    for round in 0..6 {
        for name in ["y", "x"] {
            let mail = format!("Subject: {round} {name}\r\n\r\n");
            ids.push(id(&imap.ok(&format!("CREATE {name}")), "MAILBOXID"));
            imap.append(name, &mail);
            let lines = imap.ok(&format!("SELECT {name}"));
            let uidvalidity = number(&lines, "UIDVALIDITY");
            assert!(uidvalidity > highest, "{uidvalidity} after {highest}");
            highest = uidvalidity;
            let email = id(&imap.ok("UID FETCH 1 EMAILID"), "EMAILID");
            assert_eq!(known.insert((name.to_owned(), uidvalidity), email), None);
            imap.ok("UNSELECT");
        }
        // Another mailbox comes to stand under the name: with its own id, and a UIDVALIDITY above what the name had.
        imap.ok("DELETE x");
        imap.ok("RENAME y x");
        let lines = imap.ok("SELECT x");
        assert_eq!(id(&lines, "MAILBOXID"), ids[ids.len() - 2]);
        let uidvalidity = number(&lines, "UIDVALIDITY");
        assert!(uidvalidity > highest, "{uidvalidity} after {highest}");
        highest = uidvalidity;
        let key = ("x".to_owned(), uidvalidity);
        let email = id(&imap.ok("UID FETCH 1 EMAILID"), "EMAILID");
        assert_eq!(*known.entry(key).or_insert_with(|| email.clone()), email);
        imap.ok("UNSELECT");
        imap.ok(if round % 2 == 0 { "DELETE x" } else { "RENAME x away" });
        if round % 2 == 1 {
            imap.ok("DELETE away");
        }
        // What the name had is remembered outside of the mailbox, over both ways to stop.
        if round == 2 {
            assert!(loft.stop().success());
            loft = Loft::start(&dir);
        } else {
            loft.kill();
            loft = Loft::start(&dir);
        }
        imap = Imap::log_in(loft.imap, "u1");
    }
    ids.sort();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "a MAILBOXID was given twice");
}
