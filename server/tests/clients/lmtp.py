# Delivers over LMTP and reads over IMAP. Arguments: LMTP port, IMAP port.
import imaplib
import smtplib
import ssl
import sys

lmtp = smtplib.LMTP("127.0.0.1", int(sys.argv[1]), timeout=20)

mails = {
    1: b"Message-ID: <1@example.org>\r\nSubject: dots\r\n\r\n.\r\n..\r\n.leading\r\ninner . dot\r\n",
    2: b"Message-ID: <2@example.org>\r\n\r\n" + bytes(range(128, 256)) + b"\r\n",
    3: b"Message-ID: <3@example.org>\r\n\r\n" + b"".join(b"line %d\r\n" % n for n in range(100000)),
    4: b"no header at all\r\n",
}
assert lmtp.sendmail("sender@example.org", ["U1+lists@any.domain"], mails[1]) == {}
assert lmtp.sendmail("", ["u1"], mails[2], mail_options=["BODY=8BITMIME"]) == {}
# Larger than what is gathered in memory.
assert lmtp.sendmail("sender@example.org", ["u1@example.org"], mails[3]) == {}
lmtp.starttls(context=ssl._create_unverified_context())
assert lmtp.sendmail("sender@example.org", ["u1@example.org"], mails[4]) == {}
try:
    lmtp.sendmail("sender@example.org", ["nobody@example.org"], mails[1])
    raise AssertionError("mail for nobody was taken")
except smtplib.SMTPRecipientsRefused as refused:
    assert refused.recipients == {"nobody@example.org": (550, b"5.1.1 No such mailbox")}, refused.recipients

# A mail that has been delivered too often goes in circles.
looping = b"Delivered-To: u1@example.org\r\n" * 21 + b"Message-ID: <loop@example.org>\r\n\r\n"
try:
    lmtp.sendmail("sender@example.org", ["u1"], looping)
    raise AssertionError("a loop was not seen")
except smtplib.SMTPDataError as refused:
    assert refused.smtp_code == 554 and refused.smtp_error.startswith(b"5.4.6"), refused

# Each recipient has its own reply (RFC 2033 §4.2), which smtplib does not know.
assert lmtp.mail("sender@example.org")[0] == 250
assert lmtp.rcpt("u1")[0] == 250 and lmtp.rcpt("u2")[0] == 250
assert lmtp.docmd("DATA")[0] == 354
lmtp.send(b"Message-ID: <last@example.org>\r\n\r\nboth\r\n.\r\n")
assert lmtp.getreply()[0] == 250 and lmtp.getreply()[0] == 250
assert lmtp.quit()[0] == 221

imap = imaplib.IMAP4("127.0.0.1", int(sys.argv[2]))
imap.login("u1", "pw")
assert imap.select("INBOX") == ("OK", [b"5"])
for n, sent in mails.items():
    status, data = imap.fetch(str(n), "(BODY.PEEK[])")
    kept = data[0][1]
    assert kept.endswith(b"+0000\r\n" + sent), (n, kept[:500])
    trace = kept[: len(kept) - len(sent)].decode().split("\r\n")
    assert trace[0] == ("Return-Path: <>" if n == 2 else "Return-Path: <sender@example.org>"), trace
    assert trace[1] == "Delivered-To: " + {1: "U1+lists@any.domain", 2: "u1"}.get(n, "u1@example.org"), trace
    assert trace[2].startswith("Received: from ") and trace[2].endswith(" ([127.0.0.1])"), trace
    assert (" with LMTPS id " if n == 4 else " with LMTP id ") in trace[3], trace
    assert len(trace) == 6, trace
imap.logout()
print("done")
