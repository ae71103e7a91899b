//! Mail of others into a user's mailboxes: flags, keywords and dates with it.

use super::connection::{Connection, quoted, untagged};
use super::maildir::{Folder, Keywords};
use super::{Error, Form, Outcome, Progress, mbox};
use imap_proto::date::DateTime;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What is imported.
#[derive(Clone, Debug)]
pub struct Import {
    /// Whose it becomes.
    pub user: String,
    /// From where, in which form.
    pub from: (PathBuf, Source),
    /// The mailbox that everything goes to, or goes below.
    pub into: Option<String>,
    /// A file that remembers what was imported, so that another run goes on behind it.
    pub resume: Option<PathBuf>,
    /// Look, and change nothing.
    pub dry_run: bool,
}

/// In which form mail comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// In directories of files, or files.
    Mailboxes(Form),
    /// One message, or a directory of messages.
    Eml,
}

/// A message on its way.
struct Item {
    /// What it is known by when it is looked for again.
    key: String,
    flags: Vec<String>,
    /// Seconds since 1970.
    seconds: Option<i64>,
    text: Vec<u8>,
}

/// Imports mail to the server that has its own in `data`.
///
/// # Errors
/// When the server or the source is of no use. A message that can't be read or is refused is told of, and counted.
pub fn import(
    data: &Path,
    import: &Import,
    progress: &mut dyn Progress,
) -> Result<Vec<Outcome>, Error> {
    let folders = folders(import)?;
    let mut connection = Connection::open(data, &import.user)?;
    let known = names(&mut connection)?;
    let mut done = Done::open(import.resume.as_deref(), import.dry_run)?;
    let mut outcomes = Vec::new();
    for folder in &folders {
        let mailbox = target(import.into.as_deref(), &folder.name);
        if !import.dry_run && !known.contains(&mailbox) {
            connection.command(&format!("CREATE {}", quoted(&mailbox)), |_| ())?;
            connection.command(&format!("SUBSCRIBE {}", quoted(&mailbox)), |_| ())?;
        }
        let outcome = Outcome { mailbox, ..Outcome::default() };
        let mut one = One {
            connection: &mut connection,
            progress: &mut *progress,
            done: &mut done,
            dry_run: import.dry_run,
            under_way: BTreeMap::new(),
            number: 0,
            outcome,
        };
        match import.from.1 {
            Source::Mailboxes(Form::Maildir) => one.maildir(folder)?,
            Source::Mailboxes(Form::Mbox) => one.mbox(&folder.path)?,
            Source::Eml => one.eml(&folder.path)?,
        }
        one.settle(0)?;
        outcomes.push(one.outcome);
    }
    connection.log_out();
    Ok(outcomes)
}

fn folders(import: &Import) -> Result<Vec<Folder>, Error> {
    let (root, source) = &import.from;
    match source {
        Source::Mailboxes(Form::Maildir) => Folder::find(root),
        Source::Mailboxes(Form::Mbox) => {
            let mut found = Vec::new();
            mbox::find(root, &mut found)?;
            Ok(found.into_iter().map(|(name, path)| Folder { name, path }).collect())
        }
        Source::Eml => Ok(vec![Folder { name: "INBOX".to_owned(), path: root.clone() }]),
    }
}

/// The mailbox for what `name` is at the source.
fn target(into: Option<&str>, name: &str) -> String {
    let inbox = name.eq_ignore_ascii_case("INBOX");
    match into {
        None if inbox => "INBOX".to_owned(),
        None => name.to_owned(),
        Some(into) if inbox => into.to_owned(),
        Some(into) => format!("{into}/{name}"),
    }
}

fn names(connection: &mut Connection) -> Result<HashSet<String>, Error> {
    let mut names = HashSet::new();
    connection.command("LIST \"\" \"*\"", |response| {
        let values = untagged(response, "LIST").unwrap_or_default();
        if let [attributes, _, name, ..] = &values[..]
            && !attributes.list().is_some_and(|all| all.iter().any(|is| is.is("\\NonExistent")))
        {
            names.extend(name.text().map(str::to_owned));
        }
    })?;
    Ok(names)
}

/// The import of one mailbox.
struct One<'a> {
    connection: &'a mut Connection,
    progress: &'a mut dyn Progress,
    done: &'a mut Done,
    dry_run: bool,
    /// Keys of the messages that were sent and not answered, by their numbers.
    under_way: BTreeMap<u64, String>,
    number: u64,
    outcome: Outcome,
}

impl One<'_> {
    fn maildir(&mut self, folder: &Folder) -> Result<(), Error> {
        let keywords = Keywords::of(&folder.path);
        let entries = folder.messages(&keywords)?;
        let total = entries.len() as u64;
        for entry in entries {
            self.progress.at(&self.outcome.mailbox, self.number, Some(total));
            if self.is_done(&entry.base) {
                continue;
            }
            let file = read_file(&entry.path);
            self.offer(
                file.map(|(text, seconds)| Item {
                    key: entry.base.clone(),
                    flags: entry.flags,
                    seconds,
                    text,
                }),
                &entry.path.display().to_string(),
            )?;
        }
        self.progress.at(&self.outcome.mailbox, total, Some(total));
        Ok(())
    }

    fn eml(&mut self, path: &Path) -> Result<(), Error> {
        let mut paths = Vec::new();
        if path.is_dir() {
            for entry in fs::read_dir(path).map_err(Error::file("read", path))? {
                let path = entry.map_err(Error::file("read", path))?.path();
                if path.is_file()
                    && path.extension().is_some_and(|is| is.eq_ignore_ascii_case("eml"))
                {
                    paths.push(path);
                }
            }
            paths.sort();
            if paths.is_empty() {
                let why = "no file in it has a name that ends with .eml";
                return Err(Error::Source { path: path.to_owned(), wanted: "message", why });
            }
        } else {
            paths.push(path.to_owned());
        }
        let total = paths.len() as u64;
        for path in paths {
            self.progress.at(&self.outcome.mailbox, self.number, Some(total));
            let key = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if self.is_done(&key) {
                continue;
            }
            let file = read_file(&path);
            let flags = Vec::new();
            self.offer(
                file.map(|(text, seconds)| Item { key, flags, seconds, text }),
                &path.display().to_string(),
            )?;
        }
        self.progress.at(&self.outcome.mailbox, total, Some(total));
        Ok(())
    }

    fn mbox(&mut self, path: &Path) -> Result<(), Error> {
        let mut messages = mbox::Messages::open(path).map_err(Error::file("open", path))?;
        while let Some(message) = messages.read().map_err(Error::file("read", path))? {
            self.progress.at(&self.outcome.mailbox, self.number, None);
            let key = format!("{}", message.offset);
            if self.is_done(&key) {
                continue;
            }
            let mbox::Message { offset, text, flags, seconds } = message;
            let item = Item { key, flags, seconds, text };
            self.offer(Ok(item), &format!("{} at byte {offset}", path.display()))?;
        }
        Ok(())
    }

    fn is_done(&mut self, key: &str) -> bool {
        let done = self.done.has(&self.outcome.mailbox, key);
        if done {
            self.outcome.skipped += 1;
            self.number += 1;
        }
        done
    }

    /// Sends a message; `name` is what it is called should that fail.
    fn offer(&mut self, item: io::Result<Item>, name: &str) -> Result<(), Error> {
        self.number += 1;
        let item = match item {
            Ok(item) => item,
            Err(error) => {
                self.outcome.failed += 1;
                self.progress.failed(&self.outcome.mailbox, name, &error.to_string());
                return Ok(());
            }
        };
        if self.dry_run {
            self.outcome.moved += 1;
            return Ok(());
        }
        let text = with_crlf(item.text);
        let date = item.seconds.map(|seconds| {
            let date = DateTime { seconds, zone: 0 }.format();
            format!(" \"{}\"", String::from_utf8_lossy(&date))
        });
        let flags: Vec<String> = item.flags.into_iter().filter(|flag| is_flag(flag)).collect();
        let about = format!("({}){}", flags.join(" "), date.unwrap_or_default());
        let mut answers = Vec::new();
        let mailbox = self.outcome.mailbox.clone();
        self.connection.append(
            (self.number, &mailbox),
            &about,
            text.len() as u64,
            &mut &text[..],
            |number, answer| answers.push((number, answer)),
        )?;
        self.under_way.insert(self.number, format!("{name}\0{}", item.key));
        self.take(answers)
    }

    fn settle(&mut self, most: usize) -> Result<(), Error> {
        let mut answers = Vec::new();
        self.connection.settle(most, |number, answer| answers.push((number, answer)))?;
        self.take(answers)
    }

    fn take(&mut self, answers: Vec<(u64, Result<(), String>)>) -> Result<(), Error> {
        for (number, answer) in answers {
            let known = self.under_way.remove(&number).unwrap_or_default();
            let (name, key) = known.split_once('\0').unwrap_or((&known, ""));
            match answer {
                Ok(()) => {
                    self.outcome.moved += 1;
                    self.done.note(&self.outcome.mailbox, key)?;
                }
                Err(why) => {
                    self.outcome.failed += 1;
                    self.progress.failed(&self.outcome.mailbox, name, &why);
                }
            }
        }
        Ok(())
    }
}

/// What was imported before, and now.
struct Done {
    known: HashMap<String, HashSet<String>>,
    file: Option<(PathBuf, File)>,
}

impl Done {
    fn open(path: Option<&Path>, dry_run: bool) -> Result<Self, Error> {
        let mut known: HashMap<String, HashSet<String>> = HashMap::new();
        let Some(path) = path else { return Ok(Self { known, file: None }) };
        match fs::read_to_string(path) {
            Ok(text) => {
                for line in text.split_inclusive('\n') {
                    // The last line of one that was killed may be cut: its message is imported again.
                    let Some(line) = line.strip_suffix('\n') else { continue };
                    let Some((key, mailbox)) = line.split_once('\t') else { continue };
                    known.entry(mailbox.to_owned()).or_default().insert(key.to_owned());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("read", path)(error)),
        }
        if dry_run {
            return Ok(Self { known, file: None });
        }
        let file = OpenOptions::new().create(true).append(true).open(path);
        let mut file = file.map_err(Error::file("open", path))?;
        if file.metadata().is_ok_and(|meta| meta.len() > 0) {
            file.write_all(b"\n").map_err(Error::file("write", path))?;
        }
        Ok(Self { known, file: Some((path.to_owned(), file)) })
    }

    fn has(&self, mailbox: &str, key: &str) -> bool {
        self.known.get(mailbox).is_some_and(|keys| keys.contains(key))
    }

    fn note(&mut self, mailbox: &str, key: &str) -> Result<(), Error> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        file.write_all(format!("{key}\t{mailbox}\n").as_bytes()).map_err(Error::file("write", path))
    }
}

/// A message's file, and when it was written, which is when the message came.
fn read_file(path: &Path) -> io::Result<(Vec<u8>, Option<i64>)> {
    let text = fs::read(path)?;
    let modified = fs::metadata(path)?.modified()?;
    let seconds = modified.duration_since(UNIX_EPOCH).ok();
    Ok((text, seconds.and_then(|seconds| i64::try_from(seconds.as_secs()).ok())))
}

/// The text with CRLF at the end of each line: others keep mail with LF. What has CRLF somewhere is left as it is.
fn with_crlf(text: Vec<u8>) -> Vec<u8> {
    if text.windows(2).any(|two| two == b"\r\n") {
        return text;
    }
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => out.extend(line.iter().chain(b"\r\n")),
            None => out.extend(line),
        }
    }
    out
}

/// Whether it can be a flag over IMAP: a system flag that messages have, or an atom (RFC 9051 §9).
fn is_flag(flag: &str) -> bool {
    let system = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"];
    if flag.starts_with('\\') {
        return system.iter().any(|known| flag.eq_ignore_ascii_case(known));
    }
    !flag.is_empty()
        && flag.bytes().all(|byte| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_get_crlf_where_they_have_none() {
        let crlf = |text: &[u8]| with_crlf(text.to_vec());
        assert_eq!(crlf(b"a\n\nb"), b"a\r\n\r\nb");
        assert_eq!(crlf(b"a\r\nb\n"), b"a\r\nb\n");
        assert_eq!(crlf(b""), b"");
    }

    #[test]
    fn mailboxes_have_their_places() {
        assert_eq!(target(None, "inbox"), "INBOX");
        assert_eq!(target(None, "a/b"), "a/b");
        assert_eq!(target(Some("old"), "INBOX"), "old");
        assert_eq!(target(Some("old"), "a"), "old/a");
    }
}
