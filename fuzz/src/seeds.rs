//! The first inputs of each target, made with the writers of the formats, so that they keep up with them.

use crate::pieces::join;
use dbox_format::Seed;
use dbox_format::attachment::CutOut;
use dbox_format::container::FileHeader;
use dbox_format::map::{Added, Draft, IdSet, LogPosition, Map, Transaction as MapTransaction};
use index_format::journal::{Part, Record as JournalRecord, Target};
use index_format::list::{List, Record as ListRecord, SpecialUse};
use index_format::mailbox::{Mailbox, NewMessage, TransactionBuilder};
use index_format::record::{Names, Transaction};
use index_format::{Flags, Guid, MapId, Uid, UidSet, cache, journal, list, log, snapshot, threads};

/// `first` before `rest`.
fn tagged(first: u8, rest: &[u8]) -> Vec<u8> {
    let mut input = vec![first];
    input.extend_from_slice(rest);
    input
}

pub(crate) fn lmtp_session() -> Vec<Vec<u8>> {
    const START: &str = "LHLO client.example\r\nMAIL FROM:<a@b> SIZE=20\r\nRCPT TO:<u1@d>\r\n";
    let scripts = [
        format!("{START}RCPT TO:<no>\r\nRCPT TO:<u1>\r\nDATA\r\nSubject: x\r\n\r\n..x\r\n.\r\nQUIT\r\n"),
        format!("{START}BDAT 5\r\nab\r\n.BDAT 0 LAST\r\nRSET\r\nNOOP\r\nVRFY u1\r\nHELP\r\nQUIT\r\n"),
        format!("{START}DATA\r\na\n.\nb\n.\r\nc\r.\rd\r\n.\ne\r\n.\rf\r\n\0.\r\n.\0\r\n.\r\r\n.\r\n"),
        "LHLO a\r\nSTARTTLS\r\nLHLO a\r\nMAIL FROM:<>\r\n".into(),
        "LHLO a\r\nMAIL FROM:<\"a b\\\"\"@[1.2.3.4]> BODY=8BITMIME\r\nRCPT TO:<@x,@y:u@d>\r\nDATA\r\n.\r\n".into(),
        "LHLO a\r\nMAIL FROM:<\u{fc}@d> SMTPUTF8 BODY=BINARYMIME\r\nRCPT TO:<\u{e4}@\u{f6}>\r\nBDAT 1 LAST\r\n\0".into(),
        "LHLO a\r\nMAIL FROM:<full@d>\r\nRCPT TO:<u1>\r\nBDAT 3\r\nabcBDAT 3 LAST\r\nabcMAIL FROM:<>\r\n".into(),
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "EHLO a\r\nRCPT TO:<\"\"@d>\r\nBDAT 18446744073709551616\r\nBDAT x\r\n".into(),
    ];
    let choices = [
        [0; 8],
        [0x1f, 3, 1, 4, 1, 2, 9, 0],
        [0x08, 9, 9, 9, 9, 3, 0, 0],
        [0x0f, 1, 2, 3, 4, 1, 60, 0],
    ];
    let inputs = scripts.iter().flat_map(|script| {
        choices.iter().map(move |choice| [choice.as_slice(), script.as_bytes()].concat())
    });
    inputs.collect()
}

pub(crate) fn uidset() -> Vec<Vec<u8>> {
    let mut gaps = UidSet::new();
    (1..200).step_by(3).for_each(|uid| gaps.push(Uid(uid)));
    gaps.insert_range(Uid(1_000)..=Uid(70_000));
    gaps.insert(Uid(u32::MAX));
    let sets = [UidSet::new(), UidSet::one(Uid(7)), UidSet::range(Uid(0)..=Uid(u32::MAX)), gaps];
    let encoded = sets.iter().map(|set| {
        let mut bytes = vec![0];
        set.encode(&mut bytes);
        bytes
    });
    let steps = (0..64_u8).flat_map(|step| [step, step.wrapping_mul(37), step & 3, step / 2]);
    encoded
        .chain([steps.fold(vec![1], |mut input, byte| {
            input.push(byte);
            input
        })])
        .collect()
}

/// Transactions of a mailbox, encoded, and what they lead to.
fn mailbox() -> (Vec<Vec<u8>>, Mailbox) {
    let mut mailbox = Mailbox::new(1_700_000_000, 0);
    let mut names = Names::default();
    let mut payloads = Vec::new();
    for step in 0..8_u32 {
        let mut builder = TransactionBuilder::new(&mailbox, &names);
        let first_four = UidSet::range(Uid(1)..=Uid(4));
        match step {
            0..=3 => {
                for number in 0..=step {
                    let message = NewMessage {
                        map_id: MapId(step * 10 + number),
                        internal_date: 1_700_000_000 + i64::from(number),
                        save_date: 1_700_000_100,
                        size: 1_000 << step,
                        flags: Flags::NONE,
                        keywords: &["$Forwarded"],
                    };
                    builder.append(&message).expect("there is room for a keyword");
                }
            }
            4 => builder.flags_add(&first_four, Flags::SEEN, &["$Junk"]).expect("and another"),
            5 => builder.flags_replace(&first_four, Flags::DELETED, &[]).expect("nothing new"),
            6 => builder.expunge(&UidSet::range(Uid(2)..=Uid(3))),
            _ => builder.flags_remove(&first_four, Flags::DELETED, &["$Junk"]),
        }
        let transaction = builder.finish();
        let mut payload = Vec::new();
        transaction.encode(&mut names, &mut payload).expect("a small transaction");
        mailbox.apply(&transaction).expect("it follows");
        payloads.push(payload);
    }
    (payloads, mailbox)
}

fn slices(payloads: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    payloads.iter().map(Vec::as_slice)
}

pub(crate) fn index_log() -> Vec<Vec<u8>> {
    let (payloads, _) = mailbox();
    let mut file = Vec::new();
    Mailbox::new(1_700_000_000, 0).header(Guid([1; 16]), 1, None, 42).write(&mut file);
    for payload in &payloads {
        log::write_frame(42, payload, &mut file).expect("a small payload");
    }
    let mut sealed = file.clone();
    log::write_seal(42, &mut sealed);
    vec![
        tagged(0, &file),
        tagged(0, &sealed),
        tagged(0, &file[..file.len() - 3]),
        tagged(1, &join(&[42, 100], slices(&payloads))),
        tagged(1, &join(&[7, u64::MAX], [b"x".as_slice(), &[0; 300], b"yz"])),
    ]
}

pub(crate) fn index_overlay() -> Vec<Vec<u8>> {
    let (payloads, _) = mailbox();
    let mut mailbox = Mailbox::new(1_700_000_000, 0);
    for (step, payload) in payloads.iter().enumerate() {
        if step == 3 {
            let file = snapshot::write(&mailbox, Guid([1; 16]), 1, 88);
            mailbox.rebase(&file).expect("what was written is a snapshot");
        }
        let transaction = Transaction::decode(payload, 0).expect("just encoded");
        mailbox.apply(&transaction).expect("it follows");
    }
    let overlay = snapshot::write_overlay(&mailbox, Guid([1; 16]), 1, 188).expect("it has a base");
    let before = |count| tagged(1, &join(&[count * 1_000, count], slices(&payloads)));
    [tagged(0, &overlay)].into_iter().chain([0, 3, 5, 6, 7, 8].map(before)).collect()
}

pub(crate) fn index_snapshot() -> Vec<Vec<u8>> {
    let (payloads, full) = mailbox();
    vec![
        tagged(0, &snapshot::write(&full, Guid([1; 16]), 1, 88)),
        tagged(0, &snapshot::write(&Mailbox::new(5, 0), Guid([1; 16]), 1, 88)),
        tagged(1, &join(&[1_000], slices(&payloads))),
        tagged(1, &join(&[u64::MAX], [])),
    ]
}

/// Transactions of a mailbox list, encoded, and what they lead to.
fn mailboxes() -> (Vec<Vec<u8>>, List) {
    let create = |number: u8, name: &str| ListRecord::Create {
        guid: Guid([number; 16]),
        name: name.into(),
        uidvalidity: 1_700_000_000 + u32::from(number),
        special_use: SpecialUse::NONE,
        time: 1_700_000_000,
    };
    let steps = [
        vec![create(1, "INBOX"), create(2, "Sent"), create(3, "a/b/c"), create(4, "a")],
        vec![ListRecord::Subscribe("INBOX".into()), ListRecord::Subscribe("gone".into())],
        vec![ListRecord::Rename { from: "a".into(), to: "x/y".into(), time: 1_700_000_001 }],
        vec![ListRecord::SpecialUse { guid: Guid([2; 16]), special_use: SpecialUse::SENT }],
        vec![ListRecord::Delete { guid: Guid([4; 16]), time: 1_700_000_002 }, create(5, "x")],
        vec![
            ListRecord::Recent { guid: Guid([1; 16]), uid: Uid(9) },
            ListRecord::Unsubscribe("gone".into()),
        ],
    ];
    let mut list = List::new(0);
    let mut payloads = Vec::new();
    for records in steps {
        let transaction = list::Transaction::new(records);
        let mut payload = Vec::new();
        transaction.encode(&mut payload).expect("a small transaction");
        list.apply(&transaction);
        payloads.push(payload);
    }
    (payloads, list)
}

pub(crate) fn index_list() -> Vec<Vec<u8>> {
    let (payloads, full) = mailboxes();
    vec![
        tagged(0, &full.write(Guid([1; 16]), 1, 88)),
        tagged(0, &List::new(0).write(Guid([1; 16]), 1, 88)),
        tagged(1, &join(&[], slices(&payloads))),
    ]
}

pub(crate) fn index_cache() -> Vec<Vec<u8>> {
    let header = cache::Header::covering(Guid([1; 16]), MapId(10), 42);
    let mut file = Vec::new();
    header.write(&mut file);
    let fields = [(cache::Field::Envelope, b"(NIL)".as_slice()), (cache::Field::Preview, b"Hello")];
    let row =
        |number: u32| cache::Row { map_id: MapId(number), guid: [1, 2, 3, 4], fields: &fields };
    for group in 0..3 {
        let rows = [row(10), row(11), row(u32::from(group) + 20)];
        cache::write_rows(&header, group, &rows, &mut file).expect("small rows");
    }
    let sent = cache::Header { group: cache::Group::SENT, span: cache::SENT_SPAN, ..header };
    let mut dates = Vec::new();
    sent.write(&mut dates);
    let row = |number: u32| cache::sent::Sent {
        map_id: MapId(number),
        guid: number.to_le_bytes(),
        at: (number != 17).then_some(1_700_000_000 + 60 * i64::from(number)),
    };
    for rows in [(0..300).map(row).collect::<Vec<_>>(), vec![row(900), row(17)]] {
        cache::sent::write_sent(&sent, 1, &rows, &mut dates).expect("few dates");
    }
    vec![
        tagged(0, &file),
        tagged(0, &dates),
        tagged(0, &file[..file.len() - 1]),
        tagged(1, &join(&[77], [b"".as_slice(), b"(\"a\" NIL)", &[b'x'; 500], b"List-Id: x\r\n"])),
    ]
}

pub(crate) fn index_threads() -> Vec<Vec<u8>> {
    let mut file = Vec::new();
    threads::Header { owner: Guid([1; 16]), mailbox: Guid([2; 16]) }.write(&mut file);
    let message = |uid, id, references| threads::Message {
        uid: Uid(uid),
        came: 1_750_000_000,
        sent: 1_749_999_990,
        subject: 77,
        is_reply: id > 1,
        id,
        references,
    };
    let block = [message(1, 1, &[][..]), message(2, 2, &[1]), message(9, 0, &[1, 2, 5])];
    threads::write_block(block, &mut file).expect("UIDs ascend");
    threads::write_block([message(10, 2, &[5])], &mut file).expect("one UID ascends");
    let history: [&[u8]; 9] = [
        &[0, 1, 1],
        &[1, 2, 1, 0],
        &[1, 3, 1, 0, 1],
        &[1, 2, 9, 2, 0],
        &[1],
        &[0, 0],
        &[7, 4, 2, 3, 0, 3],
        &[0],
        &[1, 0, 1, 4],
    ];
    vec![
        tagged(0, &file),
        tagged(0, &file[..file.len() - 1]),
        tagged(1, &join(&[3 << 61 | 70], history)),
    ]
}

pub(crate) fn index_journal() -> Vec<Vec<u8>> {
    let header = journal::Header {
        store: Guid([1; 16]),
        segment: 3,
        previous: Some(journal::Previous { segment: 2, end: 9_999 }),
        seed: 42,
        first_record: 7,
        epoch: 2,
        flags: 0,
    };
    let mut segment = Vec::new();
    header.write(&mut segment);
    let part = |target| Part { account: b"u1", target };
    let container =
        Target::Container { file: 1, offset: 64, head: b"head", body: Some(0), tail: b"tail" };
    let changes = [
        part(container),
        part(Target::Map { transaction: 3, payload: b"map" }),
        part(Target::Mailbox { guid: Guid([9; 16]), transaction: 4, payload: b"mailbox" }),
        part(Target::List { transaction: 5, payload: b"list" }),
    ];
    let records = [
        JournalRecord { parts: changes.to_vec(), bodies: vec![b"a body"] },
        JournalRecord { parts: changes[1..].to_vec(), bodies: vec![] },
    ];
    for (record, number) in records.iter().zip(7..) {
        record.write(&header, number, &mut segment).expect("a small record");
    }
    let payloads: Vec<Vec<u8>> =
        journal::Frames::new(&segment, &header, None).map(|frame| frame.payload.to_vec()).collect();
    segment.resize(segment.len() + 100, 0);
    vec![tagged(0, &segment), tagged(1, &join(&[5_000], slices(&payloads)))]
}

pub(crate) fn dbox_container() -> Vec<Vec<u8>> {
    let messages = [b"Subject: x\r\n\r\ny\r\n".as_slice(), &[b'z'; 9_000], b"", &[0; 5_000]];
    let mut header = Vec::new();
    FileHeader { number: 9, seed: Seed(1), ..FileHeader::default() }.write(&mut header);
    vec![
        tagged(0, include_bytes!("../../dbox-format/tests/fixtures/c.0000001f")),
        tagged(0, &header),
        tagged(1, &join(&[3_000], messages)),
        tagged(1, &join(&[70], messages)),
        tagged(0, include_bytes!("../../dbox-format/tests/fixtures/c.00000020")),
        tagged(0, include_bytes!("../../dbox-format/tests/fixtures/d.0000012c")),
    ]
}

pub(crate) fn dbox_attachments() -> Vec<Vec<u8>> {
    let mut extra = dbox_format::map::Extra::new();
    let part = |offset, len| CutOut { offset, len, ..CutOut::default() };
    extra.push_attachments(&[part(3, 9), part(3, 0), part(40, 100_000)]);
    let list = extra.fields().next().map(|(_, value)| value.to_vec()).unwrap_or_default();
    // A body is: how it is laid out, what follows it, its content; or the bytes as they are.
    let bodies: [&[u8]; 7] = [
        b"\x01\x4c\x02\r\nabcdefgh",
        b"\x03\x03\x03\n\n\nabcdefghi",
        &[[1, 76, 0].as_slice(), &[b'a'; 600]].concat(),
        &[[3, 7, 4].as_slice(), b"--x\n", &[0; 70]].concat(),
        b"\0QUJD\r\nQUJD\r\nQQ==\r\n",
        b"\0\r\nQUJD\nQUJD\nQUJ\n-- \n",
        b"\0QUJDQR==",
    ];
    vec![
        tagged(0, &join(&[100_200], [list.as_slice()])),
        tagged(1, &join(&[5], bodies)),
        tagged(1, &join(&[0x1000_0003], bodies)),
    ]
}

pub(crate) fn dbox_map() -> Vec<Vec<u8>> {
    let mut map = Map::new();
    let mut payloads = Vec::new();
    for step in 0..5_u32 {
        let mut draft = Draft::new(&map);
        match step {
            0 => draft.container_open(1, Seed(5)),
            1 | 2 => {
                for number in 0..4 {
                    let offset = 64 + u64::from(step * 4 + number) * 1_000;
                    let guid = dbox_format::Guid([number as u8; 16]);
                    let (size, record_len) = (900, 1_000);
                    let added = Added {
                        guid,
                        container: 1,
                        offset,
                        record_len,
                        size,
                        refs: 1,
                        ..Added::default()
                    };
                    draft.add(added);
                }
            }
            3 => {
                let ids: Vec<_> = map.iter().map(|(id, _)| id).collect();
                draft.refs_add(ids.iter().copied().take(2));
                draft.refs_remove(ids.iter().copied().skip(2));
            }
            _ => {
                let mut gone = IdSet::new();
                map.unreferenced().take(3).for_each(|id| gone.insert(id));
                draft.free(gone);
                draft.container_seal(1);
            }
        }
        let transaction = draft.finish();
        let mut payload = Vec::new();
        MapTransaction::encode(&transaction, &mut payload);
        map.apply(&transaction).expect("it follows");
        payloads.push(payload);
    }
    let mut file = Vec::new();
    map.write_snapshot(LogPosition { file: 1, offset: 500 }, &mut file);
    vec![
        tagged(0, &file),
        tagged(0, include_bytes!("../../dbox-format/tests/fixtures/map.index")),
        tagged(1, &join(&[], slices(&payloads))),
        tagged(
            1,
            &join(
                &[],
                [include_bytes!("../../dbox-format/tests/fixtures/map.attachments").as_slice()],
            ),
        ),
    ]
}

pub(crate) fn imap_mime() -> Vec<Vec<u8>> {
    let messages: [&[u8]; 5] = [
        b"From: \"A, B\" <a@b>, c@d (e)\r\nTo: group: x@y;, z@z\r\nSubject: =?utf-8?Q?=C3=BC?=\r\n\
          Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n",
        b"Content-Type: multipart/mixed; boundary=\"=_x\"\r\n\r\npreamble\r\n--=_x\r\n\r\none\r\n--=_x\r\n\
          Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n\
          --y\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--y--\r\n--=_x--\r\nepilogue",
        b"Content-Type: text/plain; charset*=us-ascii'en'utf-8; name*0=a; name*1=b\r\n\
          Content-Disposition: attachment;\r\n filename=\"x y\"\r\nContent-Language: de, en\r\n\
          Content-Transfer-Encoding: quoted-printable\r\n\r\na=\r\nb=3D=\n",
        b"Subject: a\nfolded\n header\nno colon here\n\nbare\rline\nends\0",
        b"\r\n\r\n",
    ];
    messages.iter().flat_map(|message| [tagged(0, message), tagged(7, message)]).collect()
}

pub(crate) fn imap_command() -> Vec<Vec<u8>> {
    let commands = [
        "FETCH 1:* (FLAGS UID RFC822.SIZE INTERNALDATE ENVELOPE BODYSTRUCTURE)",
        "UID FETCH 1:2,3 (BODY.PEEK[HEADER.FIELDS (From \"Subject\")] BODY[TEXT]<0.5> BODY[1.MIME])",
        "STORE 1,2 +FLAGS.SILENT (\\Seen $Junk)",
        "UID STORE 2 FLAGS ()",
        "SEARCH OR (SEEN UNFLAGGED) NOT FROM a1 SINCE 1-Feb-1994 LARGER 10 UID 2:*",
        "SEARCH CHARSET UTF-8 SUBJECT {6}\r\nnumber",
        "COPY 1:2 Sent",
        "UID MOVE 1 \"INBOX\"",
        "APPEND INBOX (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {5+}\r\nHello",
        "APPEND INBOX {12}\r\nSubject: x\r\n",
        "LIST (SPECIAL-USE) \"\" (\"*\" %) RETURN (STATUS (MESSAGES UNSEEN))",
        "LSUB \"\" \"&AOk-%\"",
        "STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)",
        "EXPUNGE",
        "IDLE\r\nDONE",
        "ENABLE IMAP4rev2 CONDSTORE",
        "UID FETCH 1:* (FLAGS EMAILID THREADID SAVEDATE) (CHANGEDSINCE 3)",
        "STORE 1:3 (UNCHANGEDSINCE 3) +FLAGS.SILENT ($Done)",
        "SEARCH RETURN (MIN MAX COUNT SAVE) OR MODSEQ \"/flags/\\\\Seen\" all 3 EMAILID M1",
        "SELECT INBOX (CONDSTORE)",
        "FETCH 1:* (BINARY.SIZE[1] BINARY.PEEK[]<1.9> BINARY[1.2])",
        "SORT (REVERSE SUBJECT DATE) UTF-8 OR UNSEEN FROM a1",
        "UID SORT RETURN (MIN COUNT SAVE PARTIAL -1:-2) (DISPLAYFROM REVERSE SIZE) \"us-ascii\" NOT MODSEQ 2",
        "UID THREAD REFERENCES UTF-8 1:*",
        "THREAD ORDEREDSUBJECT UTF-8 ALL",
        "UID SEARCH RETURN (UPDATE ALL) UNSEEN\r\ne STORE 1:2 +FLAGS (\\Seen)\r\nf CANCELUPDATE \"c\"",
        "SORT RETURN (UPDATE CONTEXT) (SUBJECT) UTF-8 UNSEEN\r\ne STORE 2 FLAGS (\\Seen)\r\nf STORE 2 FLAGS ()",
        "UID FETCH 1:* FLAGS (PARTIAL 2:3 CHANGEDSINCE 1)",
    ];
    commands.iter().map(|command| command.as_bytes().to_vec()).collect()
}

pub(crate) fn imap_session() -> Vec<Vec<u8>> {
    let login = "a LOGIN u1 pw\r\nb SELECT INBOX\r\n";
    let scripts = [
        "a CAPABILITY\r\nb NOOP\r\nc LOGIN {2+}\r\nu1 {2+}\r\npw\r\nd LOGOUT\r\n".to_owned(),
        "a AUTHENTICATE PLAIN\r\nAHUxAHB3\r\nb AUTHENTICATE LOGIN\r\ndTE=\r\ncHc=\r\nc LOGOUT\r\n".to_owned(),
        "a AUTHENTICATE PLAIN AHUxAHB3\r\nb CREATE a/b\r\nc RENAME a x\r\nd DELETE x/b\r\ne LIST \"\" *\r\n".to_owned(),
        format!("{login}c FETCH 1:* ALL\r\nd STORE 1 +FLAGS \\Deleted\r\ne EXPUNGE\r\nf IDLE\r\nDONE\r\ng CLOSE\r\n"),
        format!("{login}c APPEND INBOX {{3+}}\r\nabc\r\nd UID FETCH * BODY[]\r\ne UNSELECT\r\nf SELECT nothere\r\n"),
        "a STARTTLS\r\nb LOGIN u1 pw\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "a LOGIN {4294967296+}\r\nb NOOP {18446744073709551615}\r\nc X {-1}\r\n".to_owned(),
        "a LOGIN u1 pw\r\nb ENABLE IMAP4rev2\r\nc CREATE \"\u{fc}\"\r\nd APPEND INBOX ~{45+}\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n\r\ne SELECT inbox\r\nf FETCH 4 (BINARY[1] BODY[] BINARY.SIZE[])\r\ng LIST \"\" * RETURN (STATUS (SIZE))\r\n".to_owned(),
    ];
    scripts.map(String::into_bytes).into()
}
