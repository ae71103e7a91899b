# Everyday work over IMAP. Arguments: IMAP port, IMAPS port, certificate.
import imaplib
import ssl
import sys

imap_port, imaps_port, certificate = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def ok(answer):
    status, data = answer
    assert status == "OK", answer
    return data


def mail(n):
    return f"From: a@example.org\r\nSubject: mail {n}\r\nMessage-ID: <{n}@example.org>\r\n\r\nbody {n}\r\n".encode()


context = ssl.create_default_context(cafile=certificate)
context.check_hostname = True
secure = imaplib.IMAP4_SSL("localhost", imaps_port, ssl_context=context)
ok(secure.login("u1@example.org", "pw"))

imap = imaplib.IMAP4("127.0.0.1", imap_port)
try:
    imap.login("u1", "wrong")
    raise AssertionError("a wrong password was accepted")
except imaplib.IMAP4.error:
    pass
imap.starttls(ssl_context=ssl._create_unverified_context())
ok(imap.login("U1", "pw"))

ok(imap.create("Lists/Rust"))
ok(imap.subscribe("Lists/Rust"))
names = b"\n".join(ok(imap.list()))
for name in (b"INBOX", b"Lists", b"Lists/Rust", b"Archive"):
    assert name in names, names

for n in range(1, 6):
    ok(imap.append("INBOX", "\\Seen" if n == 2 else None, None, mail(n)))
assert ok(imap.select("INBOX")) == [b"5"]
assert ok(imap.search(None, "ALL")) == [b"1 2 3 4 5"]
assert ok(imap.search(None, "SEEN")) == [b"2"]
assert ok(imap.uid("SEARCH", "HEADER", "Subject", '"mail 3"')) == [b"3"]
assert ok(imap.fetch("3", "(BODY.PEEK[])"))[0][1] == mail(3)
assert b"\\Seen" not in ok(imap.fetch("3", "(FLAGS)"))[0]
assert ok(imap.fetch("3", "(RFC822)"))[0][1] == mail(3)
assert b"\\Seen" in ok(imap.fetch("3", "(FLAGS)"))[0]
envelope = ok(imap.fetch("4", "(ENVELOPE BODYSTRUCTURE RFC822.SIZE)"))[0]
assert b'"mail 4"' in envelope and b"<4@example.org>" in envelope, envelope
assert f"RFC822.SIZE {len(mail(4))}".encode() in envelope, envelope

ok(imap.store("1,4", "+FLAGS", "(\\Flagged work)"))
assert ok(imap.search(None, "KEYWORD", "work")) == [b"1 4"]
ok(imap.copy("1:2", "Lists/Rust"))
assert imap.response("COPYUID")[1][0].endswith(b" 1:2 1:2")
ok(imap.store("2", "+FLAGS", "\\Deleted"))
assert ok(imap.expunge()) == [b"2"]
assert ok(imap.uid("SEARCH", "ALL")) == [b"1 3 4 5"]
status = ok(imap.status("Lists/Rust", "(MESSAGES UNSEEN UIDNEXT)"))[0]
assert b"MESSAGES 2" in status and b"UIDNEXT 3" in status, status

# The other connection sees what this one did.
assert ok(secure.select("INBOX")) == [b"4"]
ok(imap.append("INBOX", None, None, mail(6)))
ok(secure.noop())
assert secure.response("EXISTS")[1][-1] == b"5", secure.untagged_responses

# SASL, UID commands, and a mailbox whose name is quoted.
plain = imaplib.IMAP4_SSL("localhost", imaps_port, ssl_context=context)
ok(plain.authenticate("PLAIN", lambda _: b"\0u1\0pw"))
assert b"UIDPLUS" in ok(plain.capability())[0]
assert ok(plain.namespace()) == [b'(("" "/")) NIL NIL']
ok(plain.create('"Two words"'))
ok(plain.select("INBOX"))
assert ok(plain.uid("FETCH", "3:4", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))[0][1] == b"Subject: mail 3\r\n\r\n"
ok(plain.uid("COPY", "3", '"Two words"'))
ok(plain.uid("MOVE", "4", '"Two words"'))
assert ok(plain.uid("SEARCH", "CHARSET", "UTF-8", "ALL")) == [b"1 3 5 6"]
ok(plain.uid("STORE", "6", "+FLAGS.SILENT", "(\\Deleted)"))
ok(plain.uid("EXPUNGE", "6"))
ok(plain.unselect())
assert b"MESSAGES 2" in ok(plain.status('"Two words"', "(MESSAGES)"))[0]
assert ok(plain.list('""', '"Two%"')) == [b'(\\HasNoChildren) "/" "Two words"']
assert b'() "/" "Lists/Rust"' in ok(plain.lsub())
ok(plain.unsubscribe("Lists/Rust"))
assert b'() "/" "Lists/Rust"' not in ok(plain.lsub())
plain.logout()

ok(imap.rename("Lists/Rust", "Rust"))
ok(imap.select("Rust", readonly=True))
assert ok(imap.fetch("1", "(BODY.PEEK[TEXT])"))[0][1] == b"body 1\r\n"
ok(imap.close())
ok(imap.delete("Rust"))
assert imap.select("Rust")[0] == "NO"
imap.logout()
secure.logout()
print("done")
