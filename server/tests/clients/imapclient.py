# What IMAPClient's users do. Arguments: IMAP port, IMAPS port, certificate.
import ssl
import sys
import threading
from datetime import date, datetime, timezone
from email.message import EmailMessage
from email.policy import SMTP

import imapclient
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

imap_port, imaps_port, certificate = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context(cafile=certificate)


def client():
    imap = IMAPClient("localhost", imaps_port, ssl_context=context, timeout=60)
    imap.login("u1", "pw")
    imap.normalise_times = False
    return imap


def mail(n, **headers):
    message = EmailMessage(policy=SMTP)
    message["From"] = "Zoë <zoe@example.org>"
    message["To"] = "u1@example.org, Ünal <u2@example.org>"
    message["Subject"] = headers.get("subject", f"mail {n}")
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
    message["Message-ID"] = f"<{n}@example.org>"
    message.set_content(f"body {n}\n")
    return message


# Log-in: wrong, by STARTTLS, by SASL.
imap = IMAPClient("localhost", imap_port, ssl=False, timeout=60)
try:
    imap.login("u1", "wrong")
    raise AssertionError("a wrong password was accepted")
except LoginError:
    pass
imap.starttls(context)
imap.plain_login("u1", "pw")
imap.logout()
imap = client()
assert b"Loft" in imap.id_({"name": "test"})[0]
for name in ("IDLE", "MOVE", "UIDPLUS", "NAMESPACE", "SPECIAL-USE", "UNSELECT"):
    assert imap.has_capability(name), name
assert imap.namespace() == ((("", "/"),), None, None), imap.namespace()

# Folders.
for role, name in [
    (b"\\Drafts", "Drafts"), (b"\\Sent", "Sent"), (b"\\Junk", "Junk"),
    (b"\\Trash", "Trash"), (b"\\Archive", "Archive"),
]:
    assert imap.find_special_folder(role) == name, (role, imap.find_special_folder(role))
special = "Übung & \"Test\" \\ 日本語 😀 100%"
for name in ("Lists/Rust", special, f"{special}/ü"):
    imap.create_folder(name)
    assert imap.folder_exists(name), name
names = {name: flags for flags, _, name in imap.list_folders()}
assert b"\\HasChildren" in names[special] and b"\\HasNoChildren" in names["Lists/Rust"], names
assert [name for _, _, name in imap.list_folders(f"{special}/", "%")] == [f"{special}/ü"]
assert [name for _, _, name in imap.list_folders("", "Übung%")] == [special]
imap.subscribe_folder(special)
assert special in [name for _, _, name in imap.list_sub_folders()]
imap.unsubscribe_folder(special)
assert special not in [name for _, _, name in imap.list_sub_folders()]
imap.rename_folder(special, "Ärger")
assert imap.folder_exists("Ärger/ü") and not imap.folder_exists(special)
imap.delete_folder("Ärger/ü")
imap.delete_folder("Ärger")
try:
    imap.select_folder("Ärger")
    raise AssertionError("a mailbox was selected that was deleted")
except IMAPClientError as error:
    assert "NONEXISTENT" in str(error), error

# A mail with parts.
parts = mail(3, subject="Grüße aus Köln")
parts.add_alternative("<p>body 3</p>\n", subtype="html")
parts.add_attachment(bytes(range(256)) * 8, "image", "png", filename="ä.png")
parts.add_attachment(mail(33))
then = datetime(2025, 12, 31, 23, 59, 58, tzinfo=timezone.utc)
for n, message in enumerate([mail(1), mail(2), parts, mail(4)], 1):
    told = imap.append("INBOX", message.as_bytes(), [imapclient.SEEN] if n == 2 else [], then if n == 2 else None)
    assert told.startswith(b"[APPENDUID ") and b" %d]" % n in told, told

state = imap.select_folder("INBOX")
assert state[b"EXISTS"] == 4 and state[b"UIDNEXT"] == 5 and b"\\*" in state[b"PERMANENTFLAGS"], state
assert state[b"READ-WRITE"]
data = imap.fetch([2, 3], ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[]"])
assert imapclient.SEEN in data[2][b"FLAGS"] and imapclient.SEEN not in data[3][b"FLAGS"], data
assert data[2][b"INTERNALDATE"] == then, data[2][b"INTERNALDATE"]
assert data[3][b"BODY[]"] == parts.as_bytes()
assert data[3][b"RFC822.SIZE"] == len(parts.as_bytes())
envelope = data[3][b"ENVELOPE"]
assert envelope.message_id == b"<3@example.org>" and envelope.date == datetime(2026, 3, 2, 9, tzinfo=timezone.utc), envelope
assert (envelope.to[1].mailbox, envelope.to[1].host) == (b"u2", b"example.org"), envelope
assert envelope.subject.startswith(b"=?utf-8?"), envelope

structure = data[3][b"BODYSTRUCTURE"]
assert structure.is_multipart
alternative, picture, attached = structure[0]
assert alternative.is_multipart and structure[1] == b"mixed", structure
assert picture[:2] == (b"image", b"png") and picture[5] == b"base64", picture
assert attached[:2] == (b"message", b"rfc822") and attached[7][9] == b"<33@example.org>", attached
part = imap.fetch(3, ["BODY.PEEK[1.2]", "BODY.PEEK[3.HEADER]", "BODY.PEEK[2]<10.20>", "BODY.PEEK[HEADER.FIELDS (SUBJECT DATE)]"])[3]
assert part[b"BODY[1.2]"].strip() == b"<p>body 3</p>", part
assert b"Message-ID: <33@example.org>" in part[b"BODY[3.HEADER]"], part
assert len(part[b"BODY[2]<10>"]) == 20, part
fields = part[b"BODY[HEADER.FIELDS (SUBJECT DATE)]"]
assert b"Subject:" in fields and b"Date:" in fields and b"Message-ID" not in fields, fields

# Search.
for criteria, charset, found in [
    ("ALL", None, [1, 2, 3, 4]),
    (["UNSEEN"], None, [1, 3, 4]),
    (["SUBJECT", "Grüße", "NOT", "SEEN"], "UTF-8", [3]),
    (["TEXT", "GRÜSSE"], "UTF-8", []),
    (["FROM", "zoë"], "UTF-8", [1, 2, 3, 4]),
    (["BODY", "body 4"], None, [4]),
    (["HEADER", "Message-ID", "<2@example.org>"], None, [2]),
    (["OR", ["BODY", "body 1"], ["BODY", "body 2"]], None, [1, 2]),
    (["BEFORE", date(2026, 1, 1)], None, [2]),
    (["SENTON", date(2026, 3, 2), "LARGER", 1000], None, [3]),
    ([["UID", "2:3"], "SEEN"], None, [2]),
]:
    assert imap.search(criteria, charset) == found, (criteria, imap.search(criteria, charset))

# Flags: each answer is the message's flags.
assert set(imap.add_flags([1, 3], [imapclient.FLAGGED, "Work"])[3]) == {imapclient.FLAGGED, b"Work"} | {
    flag for flag in data[3][b"FLAGS"] if flag == imapclient.RECENT
}
assert imap.search(["KEYWORD", "work"]) == [1, 3]
imap.remove_flags(3, [imapclient.FLAGGED])
imap.set_flags(1, [imapclient.ANSWERED])
assert imapclient.ANSWERED in imap.get_flags([1])[1] and b"Work" not in imap.get_flags([1])[1]
assert imap.get_flags([3])[3] and imapclient.FLAGGED not in imap.get_flags([3])[3]

# Copy, move, expunge of one.
imap.copy([1, 2], "Lists/Rust")
imap.move([2], "Archive")
assert imap.search() == [1, 3, 4]
imap.add_flags([3, 4], [imapclient.DELETED], silent=True)
imap.uid_expunge([4])
assert imap.search() == [1, 3]
imap.remove_flags(3, [imapclient.DELETED])
status = imap.folder_status("Archive", ["MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY"])
assert status[b"MESSAGES"] == 1 and status[b"UNSEEN"] == 0 and status[b"UIDNEXT"] == 2, status
imap.unselect_folder()

# Two sessions: one waits, the other acts.
imap.select_folder("INBOX", readonly=True)
other = client()
other.select_folder("INBOX")
imap.idle()


def act():
    other.append("INBOX", mail(5).as_bytes())
    other.add_flags(1, [imapclient.FLAGGED])
    other.delete_messages(3)
    other.expunge()


actor = threading.Thread(target=act)
actor.start()
told = []
while not any(line[1] == b"EXPUNGE" for line in told):
    line = imap.idle_check(timeout=60)
    assert line, f"nothing came any more after {told}"
    told += line
actor.join()
imap.idle_done()
assert (3, b"EXISTS") in told and (2, b"EXPUNGE") in told, told
assert any(line[1] == b"FETCH" and line[0] == 1 and imapclient.FLAGGED in line[2][1] for line in told), told
assert imap.search() == [1, 5]
try:
    imap.add_flags(1, [imapclient.SEEN])
    raise AssertionError("a mailbox that was examined was changed")
except IMAPClientError:
    pass
imap.noop()
assert imap.close_folder()

# Many at once, in a loop as back-up programs do it.
imap.create_folder("Many")
imap.multiappend("Many", [mail(n).as_bytes() for n in range(1, 501)])
imap.select_folder("Many")
seen = imap.fetch(range(1, 501), ["BODY.PEEK[]", "FLAGS"])
assert sorted(seen) == list(range(1, 501))
assert all(seen[n][b"BODY[]"] == mail(n).as_bytes() for n in seen)
imap.set_flags(range(1, 501, 2), [imapclient.DELETED], silent=True)
imap.expunge()
assert imap.search() == list(range(2, 501, 2))
other.logout()
imap.logout()
print("done")
