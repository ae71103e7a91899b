//! A user's mail as maildir or mbox. What is there already is not fetched again (maildir), or replaced whole (mbox).

use super::connection::{Connection, quoted, untagged};
use super::maildir::{Folder, Keywords, replace};
use super::mbox::{self, Quoter};
use super::response::Value;
use super::{Error, Form, Outcome, Progress};
use imap_proto::date::DateTime;
use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What is exported.
#[derive(Clone, Debug)]
pub struct Export {
    /// Whose mail.
    pub user: String,
    /// Into which directory, in which form.
    pub to: (PathBuf, Form),
    /// Only these mailboxes; all when there are none.
    pub mailboxes: Vec<String>,
    /// Look, and write nothing.
    pub dry_run: bool,
}

/// A mailbox that can be selected.
struct Mailbox {
    name: String,
    subscribed: bool,
}

/// What an export has to know of a message.
struct Message {
    uid: u32,
    flags: Vec<String>,
    /// INTERNALDATE, seconds since 1970.
    seconds: i64,
}

/// UIDVALIDITY, UIDNEXT.
type Validity = (u32, u32);

/// Exports mail from the server that has it in `data`.
///
/// # Errors
/// When the server or the directory is of no use. A message that can't be read is told of, and counted.
pub fn export(
    data: &Path,
    export: &Export,
    progress: &mut dyn Progress,
) -> Result<Vec<Outcome>, Error> {
    let mut connection = Connection::open(data, &export.user)?;
    let all = mailboxes(&mut connection)?;
    let wanted = |mailbox: &&Mailbox| {
        export.mailboxes.is_empty() || export.mailboxes.contains(&mailbox.name)
    };
    if let Some(name) = export.mailboxes.iter().find(|name| !all.iter().any(|m| m.name == **name)) {
        let there: Vec<&str> = all.iter().map(|mailbox| &*mailbox.name).collect();
        return Err(Error::Unknown { name: name.clone(), there: there.join(", ") });
    }
    let mut outcomes = Vec::new();
    for mailbox in all.iter().filter(wanted) {
        let validity = select(&mut connection, &mailbox.name)?;
        let messages = messages(&mut connection)?;
        let outcome = Outcome { mailbox: mailbox.name.clone(), ..Outcome::default() };
        let mut one = One { connection: &mut connection, progress: &mut *progress, outcome };
        match export.to {
            _ if export.dry_run => one.outcome.moved = messages.len() as u64,
            (ref root, Form::Maildir) => one.maildir(root, validity, &messages)?,
            (ref root, Form::Mbox) => one.mbox(root, &messages)?,
        }
        outcomes.push(one.outcome);
    }
    if !export.dry_run && export.to.1 == Form::Maildir {
        write_subscriptions(&export.to.0, &all)?;
    }
    connection.log_out();
    Ok(outcomes)
}

/// The export of one mailbox.
struct One<'a> {
    connection: &'a mut Connection,
    progress: &'a mut dyn Progress,
    outcome: Outcome,
}

impl One<'_> {
    fn maildir(
        &mut self,
        root: &Path,
        (uidvalidity, uidnext): Validity,
        messages: &[Message],
    ) -> Result<(), Error> {
        let folder = Folder::of(root, &self.outcome.mailbox);
        folder.create()?;
        let mut keywords = Keywords::of(&folder.path);
        // By what their names begin with, which is ours alone.
        let there: BTreeMap<String, PathBuf> = folder
            .messages(&keywords)?
            .into_iter()
            .map(|entry| {
                let (base, _) = entry.base.split_once(',').unwrap_or((&entry.base, ""));
                (base.to_owned(), entry.path)
            })
            .collect();
        let mut uids = BTreeMap::new();
        for (done, message) in messages.iter().enumerate() {
            self.tell(done, messages.len());
            let base = format!("{}.V{uidvalidity}U{}.loft", message.seconds, message.uid);
            let (suffix, left) = keywords.suffix(&message.flags);
            self.outcome.keywords_left_out += left as u64;
            let named = |size: &str| format!("{base}{size}{suffix}");
            let temporary = folder.path.join("tmp").join(&base);
            let (from, name) = match there.get(&base) {
                Some(path) => {
                    let file = path.file_name().unwrap_or_default().to_string_lossy();
                    let size = file.split_once(',').map_or("", |(_, rest)| rest);
                    let size = size.split_once(':').map_or(size, |(size, _)| size);
                    self.outcome.skipped += 1;
                    (path.clone(), named(&format!(",{size}")))
                }
                None => match self.fetch(message, &temporary)? {
                    Some(size) => (temporary, named(&format!(",S={size}"))),
                    None => continue,
                },
            };
            let to = folder.path.join("cur").join(&name);
            if from != to {
                fs::rename(&from, &to).map_err(Error::file("rename", &from))?;
            }
            uids.insert(message.uid, name);
        }
        self.tell(messages.len(), messages.len());
        keywords.write(&folder.path)?;
        folder.write_uids(uidvalidity, uidnext, &uids)
    }

    /// Writes a message to a file of its own; its length, or `None` when it can't be had.
    fn fetch(&mut self, message: &Message, path: &Path) -> Result<Option<u64>, Error> {
        let mut file = File::create(path).map_err(Error::file("create", path))?;
        if !self.copy(message, &mut file)? {
            fs::remove_file(path).map_err(Error::file("remove", path))?;
            return Ok(None);
        }
        let date = u64::try_from(message.seconds).unwrap_or(0);
        let times =
            FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(date));
        file.set_times(times).map_err(Error::file("date", path))?;
        let length = file.metadata().map_err(Error::file("look at", path))?.len();
        self.outcome.moved += 1;
        Ok(Some(length))
    }

    fn mbox(&mut self, root: &Path, messages: &[Message]) -> Result<(), Error> {
        let path = mbox::path_of(root, &self.outcome.mailbox);
        let dir = path.parent().unwrap_or(root);
        fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
        let temporary = path.with_extension("mbox.part");
        let file = File::create(&temporary).map_err(Error::file("create", &temporary))?;
        let mut out = BufWriter::with_capacity(64 << 10, file);
        for (done, message) in messages.iter().enumerate() {
            self.tell(done, messages.len());
            // Held, since one that can't be had must leave nothing behind.
            let mut text = Vec::new();
            if !self.copy(message, &mut text)? {
                continue;
            }
            let mut write = || {
                out.write_all(mbox::head(message.uid, message.seconds, &message.flags).as_bytes())?;
                let mut quoter = Quoter::new(&mut out);
                quoter.write_all(&text)?;
                quoter.end().map(drop)
            };
            write().map_err(Error::file("write", &temporary))?;
            self.outcome.moved += 1;
        }
        self.tell(messages.len(), messages.len());
        out.flush().map_err(Error::file("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(Error::file("replace", &path))
    }

    /// `false` when the message can't be had, which is told.
    fn copy(&mut self, message: &Message, out: &mut dyn std::io::Write) -> Result<bool, Error> {
        match self.connection.message(message.uid, out) {
            // Gone since it was listed: that is no failure.
            Ok(found) => Ok(found),
            Err(Error::Refused { why, .. }) => {
                self.outcome.failed += 1;
                let uid = format!("UID {}", message.uid);
                self.progress.failed(&self.outcome.mailbox, &uid, &why);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn tell(&mut self, done: usize, total: usize) {
        self.progress.at(&self.outcome.mailbox, done as u64, Some(total as u64));
    }
}

fn mailboxes(connection: &mut Connection) -> Result<Vec<Mailbox>, Error> {
    let mut mailboxes = Vec::new();
    connection.command("LIST \"\" \"*\" RETURN (SUBSCRIBED)", |response| {
        let Some(values) = untagged(response, "LIST") else { return };
        let [attributes, _, name, ..] = &values[..] else { return };
        let has = |flag| attributes.list().is_some_and(|all| all.iter().any(|is| is.is(flag)));
        if has("\\NonExistent") || has("\\Noselect") {
            return;
        }
        let Some(name) = name.text() else { return };
        mailboxes.push(Mailbox { name: name.to_owned(), subscribed: has("\\Subscribed") });
    })?;
    Ok(mailboxes)
}

fn select(connection: &mut Connection, name: &str) -> Result<Validity, Error> {
    let (mut uidvalidity, mut uidnext) = (1, 1);
    connection.command(&format!("EXAMINE {}", quoted(name)), |response| {
        let Some(values) = untagged(response, "OK") else { return };
        let number = |word: &str| {
            let code = values.first()?.text()?;
            code.strip_prefix('[')?.strip_suffix(']')?.strip_prefix(word)?.trim().parse().ok()
        };
        uidvalidity = number("UIDVALIDITY").unwrap_or(uidvalidity);
        uidnext = number("UIDNEXT").unwrap_or(uidnext);
    })?;
    Ok((uidvalidity, uidnext))
}

fn messages(connection: &mut Connection) -> Result<Vec<Message>, Error> {
    let mut messages = Vec::new();
    connection.command("UID FETCH 1:* (FLAGS INTERNALDATE)", |response| {
        let Some(values) = response.values() else { return };
        let [_, _, word, Value::List(items), ..] = &values[..] else { return };
        if word.is("FETCH") {
            messages.extend(message(items));
        }
    })?;
    Ok(messages)
}

fn message(items: &[Value]) -> Option<Message> {
    let uid = Value::of(items, "UID")?.text()?.parse().ok()?;
    let date = Value::of(items, "INTERNALDATE")?.text()?;
    let seconds = DateTime::parse(date.as_bytes()).ok()?.seconds;
    let flags = Value::of(items, "FLAGS")?.list()?.iter().filter_map(Value::text);
    let flags = flags.filter(|flag| !flag.eq_ignore_ascii_case("\\Recent"));
    Some(Message { uid, flags: flags.map(str::to_owned).collect(), seconds })
}

/// The file `subscriptions` of Dovecot's maildirs, in its version 2: levels are separated by tabs.
fn write_subscriptions(root: &Path, mailboxes: &[Mailbox]) -> Result<(), Error> {
    let mut text = String::from("V\t2\n\n");
    for mailbox in mailboxes.iter().filter(|mailbox| mailbox.subscribed) {
        text += &mailbox.name.replace('/', "\t");
        text.push('\n');
    }
    replace(&root.join("subscriptions"), text.as_bytes())
}
