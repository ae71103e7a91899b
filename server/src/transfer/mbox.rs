//! mbox files, in the form called mboxrd: LF ends lines, every line of a message that begins with `From `, behind any
//! number of `>`, has one `>` more. Flags stand in the header as Dovecot, mutt and Pine have them: `Status`, `X-Status`,
//! `X-Keywords`.

use super::Error;
use imap_proto::date::{DateTime, Day};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
/// Flags by their letters in `Status` and `X-Status`.
const LETTERS: [(char, &str); 5] = [
    ('R', "\\Seen"),
    ('A', "\\Answered"),
    ('F', "\\Flagged"),
    ('D', "\\Deleted"),
    ('T', "\\Draft"),
];
/// Header fields that say what the mailbox knows, not the message.
const OURS: [&str; 6] = ["Status", "X-Status", "X-Keywords", "X-UID", "X-IMAP", "X-IMAPbase"];

/// The file for a mailbox: its levels are directories, and nothing of its name can lead elsewhere.
pub(super) fn path_of(root: &Path, name: &str) -> PathBuf {
    let mut path = root.to_owned();
    let mut levels = name.split('/').map(escaped).peekable();
    while let Some(level) = levels.next() {
        path.push(if levels.peek().is_some() { level } else { format!("{level}.mbox") });
    }
    path
}

fn escaped(level: &str) -> String {
    let level = level.replace('%', "%25");
    level.strip_prefix('.').map_or_else(|| level.clone(), |rest| format!("%2E{rest}"))
}

/// The mailboxes in a file or directory, with their files.
pub(super) fn find(root: &Path, found: &mut Vec<(String, PathBuf)>) -> Result<(), Error> {
    if root.is_file() {
        let name = root.file_stem().unwrap_or_default().to_string_lossy();
        found.push((name.into_owned(), root.to_owned()));
        return Ok(());
    }
    below(root, "", found)?;
    found.sort();
    if found.is_empty() {
        let why = "there is no file in it that begins with \"From \"";
        return Err(Error::Source { path: root.to_owned(), wanted: "mbox", why });
    }
    Ok(())
}

fn below(dir: &Path, parent: &str, found: &mut Vec<(String, PathBuf)>) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(Error::file("read", dir))? {
        let entry = entry.map_err(Error::file("read", dir))?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.starts_with('.') {
            continue;
        }
        let level = file.strip_suffix(".mbox").unwrap_or(&file);
        let level = level.replace("%2E", ".").replace("%25", "%");
        let name = if parent.is_empty() { level } else { format!("{parent}/{level}") };
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => below(&path, &name, found)?,
            Ok(kind) if kind.is_file() && is_mbox(&path) => found.push((name, path)),
            _ => {}
        }
    }
    Ok(())
}

/// Whether the file begins like one, or is empty and called so.
fn is_mbox(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path)
        .and_then(|file| io::Read::read_to_end(&mut io::Read::take(file, 5), &mut head));
    match read {
        Ok(0) => path.extension().is_some_and(|extension| extension == "mbox"),
        Ok(_) => head == b"From ",
        Err(_) => false,
    }
}

/// What stands before a message.
pub(super) fn head(uid: u32, seconds: i64, flags: &[String]) -> String {
    let date = DateTime { seconds, zone: 0 };
    let (year, month, day) = date.day().civil();
    let weekday =
        usize::try_from(date.day().0.rem_euclid(7)).ok().and_then(|day| WEEKDAYS.get(day));
    let month = usize::try_from(month).ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    let time = seconds.rem_euclid(86_400);
    let mut text = format!(
        "From MAILER-DAEMON {} {} {day:2} {:02}:{:02}:{:02} {year}\n",
        weekday.unwrap_or(&"Thu"),
        month.unwrap_or(&"Jan"),
        time / 3600,
        time / 60 % 60,
        time % 60
    );
    let has = |name: &str| flags.iter().any(|flag| flag.eq_ignore_ascii_case(name));
    text += if has("\\Seen") { "Status: RO\n" } else { "Status: O\n" };
    let others = LETTERS.iter().filter(|(letter, name)| *letter != 'R' && has(name));
    let others: String = others.map(|(letter, _)| letter).collect();
    if !others.is_empty() {
        text += &format!("X-Status: {others}\n");
    }
    let keywords: Vec<&str> =
        flags.iter().map(String::as_str).filter(|flag| !flag.starts_with('\\')).collect();
    if !keywords.is_empty() {
        text += &format!("X-Keywords: {}\n", keywords.join(" "));
    }
    text + &format!("X-UID: {uid}\n")
}

/// Writes a message's text as it stands in an mbox; [`Quoter::end`] ends it.
pub(super) struct Quoter<W> {
    out: W,
    /// A CR, of which the next byte tells what it is.
    cr: bool,
    /// The start of a line that may still become `From `, behind any number of `>`.
    held: Option<Vec<u8>>,
}

impl<W: Write> Quoter<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, cr: false, held: Some(Vec::new()) }
    }

    /// Ends the message: its last line, and the empty one behind it.
    pub(super) fn end(mut self) -> io::Result<W> {
        let whole = self.held.as_ref().is_some_and(Vec::is_empty) && !self.cr;
        if let Some(held) = self.held.take() {
            self.out.write_all(&held)?;
        }
        self.out.write_all(if whole { b"\n" } else { b"\n\n" })?;
        Ok(self.out)
    }

    fn byte(&mut self, byte: u8) -> io::Result<()> {
        let Some(held) = &mut self.held else {
            self.out.write_all(&[byte])?;
            if byte == b'\n' {
                self.held = Some(Vec::new());
            }
            return Ok(());
        };
        held.push(byte);
        let quotes = held.iter().take_while(|&&byte| byte == b'>').count();
        let rest = held.get(quotes..).unwrap_or_default();
        if rest == b"From " {
            self.out.write_all(b">")?;
        } else if b"From ".starts_with(rest) {
            return Ok(());
        }
        self.out.write_all(held)?;
        self.held = (byte == b'\n').then(Vec::new);
        Ok(())
    }
}

impl<W: Write> Write for Quoter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            if std::mem::take(&mut self.cr) && byte != b'\n' {
                self.byte(b'\r')?;
            }
            match byte {
                b'\r' => self.cr = true,
                byte => self.byte(byte)?,
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A message of an mbox, as IMAP has it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Message {
    /// Where it begins in the file.
    pub(super) offset: u64,
    pub(super) text: Vec<u8>,
    pub(super) flags: Vec<String>,
    /// Seconds since 1970, if its first line says when.
    pub(super) seconds: Option<i64>,
}

/// Reads the messages of an mbox, one after the other.
pub(super) struct Messages {
    input: BufReader<File>,
    offset: u64,
    line: Vec<u8>,
}

impl Messages {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut messages =
            Self { input: BufReader::new(File::open(path)?), offset: 0, line: Vec::new() };
        messages.next_line()?;
        Ok(messages)
    }

    /// The next one, `None` at the end of the file.
    pub(super) fn read(&mut self) -> io::Result<Option<Message>> {
        if self.line.is_empty() {
            return Ok(None);
        }
        if !self.line.starts_with(b"From ") {
            return Err(io::Error::other(format!(
                "at byte {} there is no line that begins with \"From \"",
                self.offset - self.line.len() as u64
            )));
        }
        let mut message = Message {
            offset: self.offset - self.line.len() as u64,
            seconds: seconds_of(&self.line),
            ..Message::default()
        };
        let (mut in_header, mut skipped, mut empty) = (true, false, false);
        loop {
            self.next_line()?;
            if self.line.is_empty() || empty && is_separator(&self.line) {
                break;
            }
            let line = content(&self.line);
            // The empty line before the next message is none of this one's.
            if empty {
                message.text.extend_from_slice(b"\r\n");
            }
            empty = line.is_empty();
            in_header &= !empty;
            if in_header {
                let goes_on = line.starts_with(b" ") || line.starts_with(b"\t");
                skipped = if goes_on { skipped } else { message.takes(line) };
                if skipped {
                    continue;
                }
            }
            if !empty {
                message.text.extend_from_slice(unquoted(line));
                message.text.extend_from_slice(b"\r\n");
            }
        }
        Ok(Some(message))
    }

    fn next_line(&mut self) -> io::Result<()> {
        self.line.clear();
        self.offset += self.input.read_until(b'\n', &mut self.line)? as u64;
        Ok(())
    }
}

impl Message {
    /// Whether a header line is about the mailbox; what it says is taken in.
    fn takes(&mut self, line: &[u8]) -> bool {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { return false };
        let (name, value) = line.split_at(colon);
        let ours = OURS.iter().find(|ours| name.eq_ignore_ascii_case(ours.as_bytes()));
        let Some(&ours) = ours else { return false };
        let value = String::from_utf8_lossy(value.get(1..).unwrap_or_default());
        match ours {
            "Status" | "X-Status" => {
                let flag = |letter| LETTERS.iter().find(|(known, _)| *known == letter);
                let flags = value.trim().chars().filter_map(flag);
                self.flags.extend(flags.map(|(_, flag)| (*flag).to_owned()));
            }
            "X-Keywords" => self.flags.extend(value.split_whitespace().map(str::to_owned)),
            _ => {}
        }
        true
    }
}

fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn unquoted(line: &[u8]) -> &[u8] {
    let quotes = line.iter().take_while(|&&byte| byte == b'>').count();
    let from = line.get(quotes..).unwrap_or_default().starts_with(b"From ");
    if from { line.get(quotes.min(1)..).unwrap_or_default() } else { line }
}

/// Others don't quote all lines that begin so: one that says when is the start of a message.
fn is_separator(line: &[u8]) -> bool {
    line.starts_with(b"From ") && seconds_of(line).is_some()
}

/// `From SENDER Thu Jan  1 00:00:00 1970`, as `asctime` writes it; a zone before or behind the year is passed over.
fn seconds_of(line: &[u8]) -> Option<i64> {
    let line = String::from_utf8_lossy(content(line));
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| MONTHS.contains(word))?;
    let month = MONTHS.iter().position(|month| words.get(at) == Some(month))?;
    let day = words.get(at + 1)?.parse().ok()?;
    let mut time = words.get(at + 2)?.split(':').map(|part| part.parse::<u32>().ok());
    let (hour, minute) = (time.next()??, time.next()??);
    let second = time.next().unwrap_or(Some(0))?;
    let year = words.get(at + 3..)?.iter().find_map(|word| match word.len() {
        4 => word.parse::<u32>().ok().filter(|year| *year >= 1900),
        _ => None,
    })?;
    let day = Day::from_civil(year, u32::try_from(month).ok()? + 1, day)?;
    (hour < 24 && minute < 60 && second < 61)
        .then(|| DateTime::new(day, hour, minute, second.min(59), 0).seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(texts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let flags = ["\\Seen", "\\Flagged", "work"].map(str::to_owned);
            let flags = flags.get(..number.min(3)).unwrap();
            out.extend(head(number as u32 + 1, 1_500_000_000, flags).bytes());
            let mut quoter = Quoter::new(&mut out);
            for byte in text.chunks(1) {
                quoter.write_all(byte).unwrap();
            }
            quoter.end().unwrap();
        }
        out
    }

    fn read(bytes: &[u8]) -> Vec<Message> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.mbox");
        fs::write(&path, bytes).unwrap();
        let mut messages = Messages::open(&path).unwrap();
        std::iter::from_fn(|| messages.read().unwrap()).collect()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let texts: [&[u8]; 6] = [
            b"Subject: a\r\n\r\nFrom me\r\n>From you\r\n\r\nFrom x Thu Jan  1 00:00:00 1970\r\n",
            b"Subject: b\r\n\r\n",
            b"Subject: c\r\n\r\n\r\n\r\n",
            b"\r\nno header\r\n",
            b"A: only\r\n",
            b"Subject: d\r\n\r\nF\r\n>\r\n>>Fro\r\n\r\nx\r\n",
        ];
        let bytes = written(&texts);
        let messages = read(&bytes);
        let read: Vec<&[u8]> = messages.iter().map(|message| &*message.text).collect();
        assert_eq!(read, texts);
        assert!(messages.iter().all(|message| message.seconds == Some(1_500_000_000)));
        let flags: Vec<usize> = messages.iter().map(|message| message.flags.len()).collect();
        assert_eq!(flags, [0, 1, 2, 3, 3, 3]);
    }

    #[test]
    fn an_mbox_for_people() {
        let text = b"Subject: a\r\n\r\nFrom me\r\nlast line";
        insta::assert_snapshot!(String::from_utf8(written(&[b"x: y\r\n\r\n", text])).unwrap(), @r"
        From MAILER-DAEMON Fri Jul 14 02:40:00 2017
        Status: O
        X-UID: 1
        x: y


        From MAILER-DAEMON Fri Jul 14 02:40:00 2017
        Status: RO
        X-UID: 2
        Subject: a

        >From me
        last line
        ");
    }

    #[test]
    fn what_others_write_is_read() {
        let bytes = b"From a@b  Fri Jul 14 02:40 +0200 2017 remote\nStatus: RO\nX-Status: AF\nX-Keywords: one two\n\
            \tfolded away\nSubject: x\n\nFrom here on\n\nFrom afar\n\nFrom - Fri Jul 14 02:40:01 2017\n\nbody\n";
        let messages = read(bytes);
        let texts: Vec<&[u8]> = messages.iter().map(|message| &*message.text).collect();
        assert_eq!(
            texts,
            [&b"Subject: x\r\n\r\nFrom here on\r\n\r\nFrom afar\r\n"[..], b"\r\nbody\r\n"]
        );
        assert_eq!(messages[0].flags, ["\\Seen", "\\Answered", "\\Flagged", "one", "two"]);
        assert_eq!(messages[0].seconds, Some(1_500_000_000));
    }

    #[test]
    fn names_can_not_lead_elsewhere() {
        let path = |name| path_of(Path::new("/x"), name).display().to_string();
        assert_eq!(path("INBOX"), "/x/INBOX.mbox");
        assert_eq!(path("a/b"), "/x/a/b.mbox");
        assert_eq!(path("../.."), "/x/%2E./%2E..mbox");
        assert_eq!(path("a%/.b"), "/x/a%25/%2Eb.mbox");
    }
}
