//! Commands by a grammar of them all, and what happens on the side.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The client sends this with a tag before it.
    Command(String),
    /// Mail comes to the INBOX.
    Deliver(&'static str),
    /// Another session expunges a message of the INBOX.
    Expunge(u32),
    /// Another session flags one.
    Flag(u32),
    /// The client reads no more, or goes on.
    Stall(bool),
    /// Nothing becomes durable, or all.
    Hold(bool),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => command().prop_map(Step::Command),
        1 => half_valid().prop_map(Step::Command),
        2 => select(MESSAGES).prop_map(Step::Deliver),
        3 => (1u32..9).prop_map(Step::Expunge),
        3 => (1u32..9).prop_map(Step::Flag),
        1 => any::<bool>().prop_map(Step::Stall),
        1 => any::<bool>().prop_map(Step::Hold),
    ]
}

const MESSAGES: &[&str] = &[
    "Subject: new\r\n\r\nNew.\r\n",
    "Content-Transfer-Encoding: x-unknown\r\n\r\nWho knows?\r\n",
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\
     Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n",
];

fn words(words: &'static [&'static str]) -> BoxedStrategy<String> {
    select(words).prop_map(str::to_owned).boxed()
}

/// The parts one behind the other.
fn all<const N: usize>(parts: [BoxedStrategy<String>; N]) -> BoxedStrategy<String> {
    Vec::from(parts).prop_map(|parts| parts.concat()).boxed()
}

fn set() -> BoxedStrategy<String> {
    words(&[
        "1:*",
        "1",
        "2",
        "3",
        "*",
        "2:3",
        "1,3",
        "3:1",
        "2:*",
        "1:2,4:*",
        "4:6",
        "$",
        "7:9",
        "4294967295",
        "0",
    ])
}

fn uid() -> BoxedStrategy<String> {
    words(&["", "UID "])
}

fn mailbox() -> BoxedStrategy<String> {
    words(&["INBOX", "inbox", "Other", "Other", "\"Other/x\"", "Nowhere", "a&b"])
}

fn fetch() -> BoxedStrategy<String> {
    let items = words(&[
        "FLAGS",
        "(UID FLAGS)",
        "(FLAGS MODSEQ)",
        "MODSEQ",
        "UID",
        "FAST",
        "FULL",
        "BODY[]",
        "(BODY[TEXT] FLAGS)",
        "(UID BODY.PEEK[HEADER.FIELDS (Subject \"X Y\")])",
        "BODY[1]<1.2>",
        "BINARY[1]",
        "(BINARY[2] FLAGS)",
        "BINARY.SIZE[1]",
        "(EMAILID THREADID SAVEDATE)",
        "(BODYSTRUCTURE RFC822.TEXT)",
    ]);
    let since = words(&["", "", "", " (CHANGEDSINCE 4)", " (CHANGEDSINCE 9)", " (CHANGEDSINCE 0)"]);
    all([uid(), words(&["FETCH "]), set(), words(&[" "]), items, since])
}

fn store() -> BoxedStrategy<String> {
    let since =
        words(&["", "", "", "(UNCHANGEDSINCE 0) ", "(UNCHANGEDSINCE 5) ", "(UNCHANGEDSINCE 9) "]);
    let action =
        words(&["+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT", "-FLAGS.SILENT", "FLAGS.SILENT"]);
    let flags = words(&[
        " (\\Deleted)",
        " (\\Deleted)",
        " (\\Seen \\Flagged)",
        " \\Flagged",
        " ($Label)",
        " ()",
        " (\\Seen $label x)",
        " (\\Recent)",
    ]);
    all([uid(), words(&["STORE "]), set(), words(&[" "]), since, action, flags])
}

fn search() -> BoxedStrategy<String> {
    let wanted = words(&[
        "",
        " RETURN ()",
        " RETURN (SAVE)",
        " RETURN (MIN MAX)",
        " RETURN (COUNT)",
        " RETURN (ALL SAVE)",
        " RETURN (MIN SAVE)",
        " RETURN (PARTIAL 2:3)",
        " RETURN (PARTIAL -1:-2 SAVE MIN)",
        " RETURN (UPDATE COUNT)",
        " RETURN (UPDATE CONTEXT ALL)",
    ]);
    let sorted = wanted.clone();
    let keys = words(&[
        " ALL",
        " UNSEEN",
        " NOT DELETED",
        " OR FLAGGED 2:*",
        " MODSEQ 5",
        " MODSEQ \"/flags/\\\\Seen\" all 3 SEEN",
        " $",
        " TEXT number",
        " CHARSET X-NONE ALL",
        " NEW",
        " UID 2:3",
    ]);
    let order = words(&[
        " (SUBJECT) UTF-8",
        " (REVERSE SUBJECT FROM) us-ascii",
        " (DATE REVERSE SIZE) UTF-8",
        " (ARRIVAL) X-NONE",
        " (DISPLAYTO) UTF-8",
    ]);
    let algorithm =
        words(&[" ORDEREDSUBJECT UTF-8", " REFERENCES UTF-8", " REFS us-ascii", " X UTF-8"]);
    prop_oneof![
        all([uid(), words(&["SEARCH"]), wanted, keys.clone()]),
        all([uid(), words(&["SORT"]), sorted, order, keys.clone()]),
        all([uid(), words(&["THREAD"]), algorithm, keys]),
    ]
    .boxed()
}

fn moves() -> BoxedStrategy<String> {
    all([uid(), words(&["COPY ", "MOVE ", "MOVE "]), set(), words(&[" "]), mailbox()])
}

fn mailboxes() -> BoxedStrategy<String> {
    let verbs = words(&[
        "SELECT ",
        "SELECT ",
        "EXAMINE ",
        "CREATE ",
        "DELETE ",
        "SUBSCRIBE ",
        "UNSUBSCRIBE ",
        "RENAME Other ",
    ]);
    all([verbs, mailbox()])
}

fn others() -> BoxedStrategy<String> {
    words(&[
        "NOOP",
        "NOOP",
        "CHECK",
        "IDLE",
        "IDLE",
        "EXPUNGE",
        "EXPUNGE",
        "UID EXPUNGE 2:4",
        "UID EXPUNGE $",
        "CLOSE",
        "UNSELECT",
        "SELECT INBOX (CONDSTORE)",
        "EXAMINE INBOX (CONDSTORE)",
        "SELECT INBOX (QRESYNC (1 2))",
        "ENABLE CONDSTORE",
        "ENABLE IMAP4rev2",
        "ENABLE X",
        "STATUS INBOX (MESSAGES HIGHESTMODSEQ)",
        "STATUS Other (UIDNEXT SIZE DELETED RECENT)",
        "LIST \"\" * RETURN (STATUS (MESSAGES))",
        "LIST (SUBSCRIBED) \"\" %",
        "LSUB \"\" *",
        "NAMESPACE",
        "CAPABILITY",
        "ID NIL",
        "LOGIN u pw",
        "APPEND INBOX (\\Seen) {12+}\r\nSubject: a\r\n",
        "APPEND Other {8+}\r\n\r\nHello\r\n {3+}\r\nabc",
        "APPEND Nowhere {2+}\r\nab",
        "LOGOUT",
        "FROB",
    ])
}

pub(crate) fn command() -> BoxedStrategy<String> {
    Union::new_weighted(vec![
        (6, fetch()),
        (8, store()),
        (4, search()),
        (3, moves()),
        (3, mailboxes()),
        (6, others()),
    ])
    .boxed()
}

/// A command that lacks a word, or has one twice. None that has a literal, for what follows would become part of it.
fn half_valid() -> BoxedStrategy<String> {
    let whole =
        command().prop_filter("no literal, no IDLE", |text| !text.contains('{') && text != "IDLE");
    (whole, any::<prop::sample::Index>(), any::<bool>())
        .prop_map(|(text, index, twice)| {
            let mut words: Vec<&str> = text.split(' ').collect();
            let at = index.index(words.len());
            if twice {
                words.insert(at, words[at]);
            } else {
                words.remove(at);
            }
            words.join(" ")
        })
        .prop_filter("not IDLE", |text| text != "IDLE")
        .boxed()
}
