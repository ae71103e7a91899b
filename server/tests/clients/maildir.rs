//! A Maildir that a program keeps equal to a mailbox.

use crate::wire::Imap;
use std::fs;
use std::path::{Path, PathBuf};

/// The letter that stands for each flag in the name of a file.
const LETTERS: [(&str, char); 5] = [
    ("\\Draft", 'D'),
    ("\\Flagged", 'F'),
    ("\\Answered", 'R'),
    ("\\Seen", 'S'),
    ("\\Deleted", 'T'),
];

pub(crate) struct Maildir(PathBuf);

impl Maildir {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes one.
    pub(crate) fn create(path: PathBuf) -> Self {
        for sub in ["cur", "new", "tmp"] {
            fs::create_dir_all(path.join(sub)).unwrap();
        }
        Self(path)
    }

    /// Puts in a mail as a program that delivers does.
    pub(crate) fn deliver(&self, n: u32) {
        let file = self.0.join(format!("new/{n}.test.host"));
        fs::write(file, mail(n).replace("\r\n", "\n")).unwrap();
    }

    /// Gives the mail `n` these flags.
    pub(crate) fn flag(&self, n: u32, letters: &str) {
        let (path, name) = self.find(n);
        let name = name.split_once(":2,").map_or(name.as_str(), |(name, _)| name);
        fs::rename(path, self.0.join(format!("cur/{name}:2,{letters}"))).unwrap();
    }

    pub(crate) fn remove(&self, n: u32) {
        fs::remove_file(self.find(n).0).unwrap();
    }

    fn find(&self, n: u32) -> (PathBuf, String) {
        let ending = format!("\n\nmail {n}\n");
        let mut files = self.files().into_iter();
        let found = files.find(|path| fs::read_to_string(path).unwrap().ends_with(&ending));
        let path = found.unwrap_or_else(|| panic!("no mail {n} in {:?}", self.files()));
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (path, name)
    }

    /// All files, sorted.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for sub in ["cur", "new"] {
            let dir = self.0.join(sub);
            let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{dir:?}: {error}"));
            files.extend(entries.map(|entry| entry.unwrap().path()));
        }
        files.sort();
        files
    }

    /// The letters of each mail's flags, and its body: `FS mail 1`.
    pub(crate) fn mails(&self) -> Vec<String> {
        let files = self.files();
        let described = files.iter().map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let letters = name.rsplit_once(":2,").map_or("", |(_, letters)| letters);
            let text = fs::read_to_string(path).unwrap();
            format!("{letters} {}", text.split_once("\n\n").unwrap().1.trim())
        });
        let mut mails: Vec<String> = described.collect();
        mails.sort();
        mails
    }
}

/// A mail, and `mail n` in it.
pub(crate) fn mail(n: u32) -> String {
    format!(
        "From: a@example.org\r\nDate: Mon, 2 Mar 2026 10:00:00 +0000\r\nSubject: {n}\r\n\
         Message-ID: <{n}@example.org>\r\n\r\nmail {n}\r\n"
    )
}

/// The same as [`Maildir::mails`], of a mailbox on the server. `name` is as it stands in a command.
pub(crate) fn mails(imap: &mut Imap, name: &str) -> Vec<String> {
    imap.ok(&format!("EXAMINE {name}"));
    let mut mails = Vec::new();
    let mut letters = String::new();
    for line in imap.ok("UID FETCH 1:* (FLAGS BODY.PEEK[TEXT])") {
        if line.starts_with("* ") && line.contains("FETCH (") {
            let flags = LETTERS.iter().filter(|(flag, _)| line.contains(flag));
            letters = flags.map(|(_, letter)| letter).collect();
        } else if line.starts_with("mail ") {
            mails.push(format!("{letters} {line}"));
        }
    }
    imap.ok("CLOSE");
    mails.sort();
    mails
}

/// Whether both have these mails.
#[track_caller]
pub(crate) fn assert_both(near: &Path, imap: &mut Imap, name: &str, expected: &[&str]) {
    assert_eq!(Maildir::at(near.to_owned()).mails(), expected, "{}", near.display());
    assert_eq!(mails(imap, name), expected, "{name}");
}

/// What would show that something was done to a mailbox: its next UID too.
pub(crate) fn state(near: &Path, imap: &mut Imap, name: &str) -> (Vec<PathBuf>, Vec<String>) {
    let status = imap.ok(&format!("STATUS {name} (MESSAGES UIDNEXT UNSEEN UIDVALIDITY)"));
    (Maildir::at(near.to_owned()).files(), status)
}
