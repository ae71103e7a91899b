//! Maildir++ as Dovecot and Courier have it: `cur`, `new` and `tmp` of INBOX at the top, `.A.B` beside them for the
//! mailbox `A/B`, flags in file names, `dovecot-keywords`, `dovecot-uidlist` and `subscriptions`.

use super::Error;
use imap_proto::mutf7;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Flags by their letters.
const LETTERS: [(char, &str); 6] = [
    ('D', "\\Draft"),
    ('F', "\\Flagged"),
    ('P', "$Forwarded"),
    ('R', "\\Answered"),
    ('S', "\\Seen"),
    ('T', "\\Deleted"),
];
/// FULLWIDTH FULL STOP, which stands for a dot in a name: dots separate levels here, and nothing escapes them.
const DOT: &str = "\u{ff0e}";
/// Keywords that a directory has letters for.
const KEYWORDS: usize = 26;

/// One mailbox's directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Folder {
    /// The mailbox.
    pub(super) name: String,
    /// The directory that `cur` is in.
    pub(super) path: PathBuf,
}

/// A message's file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    /// What its file name begins with, and what stays when its flags change.
    pub(super) base: String,
    pub(super) path: PathBuf,
    pub(super) flags: Vec<String>,
}

/// Letters of the keywords of one directory.
#[derive(Debug, Default)]
pub(super) struct Keywords {
    names: Vec<String>,
}

impl Folder {
    /// The directory for a mailbox.
    pub(super) fn of(root: &Path, name: &str) -> Self {
        let mut path = root.to_owned();
        if name != "INBOX" {
            let level = |level: &str| {
                let mut out = Vec::new();
                mutf7::encode(&level.replace('.', DOT), &mut out);
                String::from_utf8_lossy(&out).into_owned()
            };
            path.push(format!(".{}", name.split('/').map(level).collect::<Vec<_>>().join(".")));
        }
        Self { name: name.to_owned(), path }
    }

    /// The mailboxes in a directory: Maildir++, or directories in directories.
    pub(super) fn find(root: &Path) -> Result<Vec<Self>, Error> {
        let mut found = Vec::new();
        if is_maildir(root) {
            found.push(Self { name: "INBOX".to_owned(), path: root.to_owned() });
        }
        below(root, "", &mut found)?;
        found.sort_by(|one, other| one.name.cmp(&other.name));
        if found.is_empty() {
            let why = "neither it nor a directory in it has the directories cur and new";
            return Err(Error::Source { path: root.to_owned(), wanted: "maildir", why });
        }
        Ok(found)
    }

    /// Makes the directory.
    pub(super) fn create(&self) -> Result<(), Error> {
        for part in ["cur", "new", "tmp"] {
            let path = self.path.join(part);
            fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
        }
        if self.name != "INBOX" {
            // What tells a folder from a maildir of its own.
            let path = self.path.join("maildirfolder");
            fs::write(&path, b"").map_err(Error::file("write", &path))?;
        }
        Ok(())
    }

    /// Its messages, in the order of `dovecot-uidlist`, the others behind, in the order of their names.
    pub(super) fn messages(&self, keywords: &Keywords) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for part in ["cur", "new"] {
            let path = self.path.join(part);
            for entry in fs::read_dir(&path).map_err(Error::file("read", &path))? {
                let entry = entry.map_err(Error::file("read", &path))?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
                if name.starts_with('.') || !is_file {
                    continue;
                }
                let (base, letters) = split(&name);
                let flags = keywords.flags(letters);
                entries.push(Entry { base: base.to_owned(), path: entry.path(), flags });
            }
        }
        let uids = uids(&self.path);
        let uid = |entry: &Entry| uids.get(&entry.base).copied().unwrap_or(u32::MAX);
        entries.sort_by(|one, other| {
            (uid(one), arrival(&one.base), &one.base).cmp(&(
                uid(other),
                arrival(&other.base),
                &other.base,
            ))
        });
        Ok(entries)
    }

    /// Writes which file has which UID: those there are now, so that IMAP clients need not read all again.
    pub(super) fn write_uids(
        &self,
        uidvalidity: u32,
        uidnext: u32,
        uids: &BTreeMap<u32, String>,
    ) -> Result<(), Error> {
        let mut text = format!("3 V{uidvalidity} N{uidnext}\n");
        for (uid, name) in uids {
            text += &format!("{uid} :{name}\n");
        }
        replace(&self.path.join("dovecot-uidlist"), text.as_bytes())
    }
}

impl Keywords {
    /// Those of a directory.
    pub(super) fn of(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("dovecot-keywords")).unwrap_or_default();
        let mut names = Vec::new();
        for line in text.lines() {
            let Some((number, name)) = line.split_once(' ') else { continue };
            let Ok(number @ 0..KEYWORDS) = number.parse::<usize>() else { continue };
            if names.len() <= number {
                names.resize(number + 1, String::new());
            }
            if let Some(known) = names.get_mut(number) {
                name.clone_into(known);
            }
        }
        Self { names }
    }

    /// Writes them.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        if self.names.is_empty() {
            return Ok(());
        }
        let lines = self.names.iter().enumerate().filter(|(_, name)| !name.is_empty());
        let text: String = lines.map(|(number, name)| format!("{number} {name}\n")).collect();
        replace(&folder.join("dovecot-keywords"), text.as_bytes())
    }

    /// The end of a file's name that has these flags, and how many have no letter.
    pub(super) fn suffix(&mut self, flags: &[String]) -> (String, usize) {
        let (mut letters, mut left) = (Vec::new(), 0);
        for flag in flags {
            let known = LETTERS.iter().find(|(_, name)| name.eq_ignore_ascii_case(flag));
            let known = known.map(|(letter, _)| *letter);
            // Dovecot has no letter for $Forwarded, but one for every keyword: it gets both.
            let keyword = self.letter(flag);
            letters.extend(known);
            letters.extend(keyword);
            left += usize::from(known.is_none() && keyword.is_none());
        }
        letters.sort_unstable();
        letters.dedup();
        (format!(":2,{}", String::from_iter(letters)), left)
    }

    fn letter(&mut self, keyword: &str) -> Option<char> {
        if keyword.starts_with('\\') {
            return None;
        }
        let known = self.names.iter().position(|name| name.eq_ignore_ascii_case(keyword));
        let number = known.unwrap_or(self.names.len());
        if number == self.names.len() && number < KEYWORDS {
            self.names.push(keyword.to_owned());
        }
        letter_of(number)
    }

    fn flags(&self, letters: &str) -> Vec<String> {
        let flag = |letter: char| {
            let known = LETTERS.iter().find(|(known, _)| *known == letter);
            known.map(|(_, flag)| (*flag).to_owned()).or_else(|| {
                let number = (letter as usize).checked_sub('a' as usize)?;
                self.names.get(number).filter(|name| !name.is_empty()).cloned()
            })
        };
        letters.chars().filter_map(flag).collect()
    }
}

fn letter_of(number: usize) -> Option<char> {
    (number < KEYWORDS)
        .then(|| u8::try_from(number).ok().map(|number| char::from(b'a' + number)))?
}

/// A file's name without its flags, and their letters.
fn split(name: &str) -> (&str, &str) {
    name.split_once(":2,").unwrap_or((name, ""))
}

/// When the message came, by the name of its file.
fn arrival(base: &str) -> u64 {
    base.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(u64::MAX)
}

/// UIDs by the first parts of file names; none where there is no such list, or it is not of version 3.
fn uids(folder: &Path) -> BTreeMap<String, u32> {
    let text = fs::read(folder.join("dovecot-uidlist")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines();
    if !lines.next().is_some_and(|head| head.starts_with("3 ")) {
        return BTreeMap::new();
    }
    let of = |line: &str| {
        let (head, name) = line.split_once(" :")?;
        let uid = head.split(' ').next()?.parse().ok()?;
        Some((split(name).0.to_owned(), uid))
    };
    lines.filter_map(of).collect()
}

fn is_maildir(path: &Path) -> bool {
    path.join("cur").is_dir() && path.join("new").is_dir()
}

/// Looks for mailboxes in the directories of `dir`, whose own mailbox is `parent`.
fn below(dir: &Path, parent: &str, found: &mut Vec<Folder>) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(Error::file("read", dir))? {
        let entry = entry.map_err(Error::file("read", dir))?;
        // Links are not followed: they may lead in circles, or elsewhere.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let file = entry.file_name();
        let Some(name) = name_of(&file).filter(|name| !name.is_empty()) else { continue };
        let name = if parent.is_empty() { name } else { format!("{parent}/{name}") };
        let path = entry.path();
        if is_maildir(&path) {
            found.push(Folder { name: name.clone(), path: path.clone() });
        }
        below(&path, &name, found)?;
    }
    Ok(())
}

/// The mailbox of a directory of this name; `None` for those that are parts of one.
fn name_of(file: &OsStr) -> Option<String> {
    let bytes = file.as_bytes();
    if matches!(bytes, b"cur" | b"new" | b"tmp") {
        return None;
    }
    let decode = |level: &[u8]| {
        let name = mutf7::decode(level);
        // Others don't encode at all.
        name.unwrap_or_else(|| String::from_utf8_lossy(level).into_owned()).replace(DOT, ".")
    };
    match bytes.strip_prefix(b".") {
        Some(levels) => {
            let levels: Vec<String> = levels.split(|&byte| byte == b'.').map(decode).collect();
            Some(levels.join("/"))
        }
        None => Some(decode(bytes)),
    }
}

/// Writes a file so that it is there whole or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut other = path.as_os_str().to_owned();
    other.push(".part");
    let other = PathBuf::from(other);
    fs::write(&other, bytes).map_err(Error::file("write", &other))?;
    fs::rename(&other, path).map_err(Error::file("replace", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_directories_and_names_again() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["INBOX", "Sent", "a/b", "w.x/..", "M\u{fc}ll/&", "x/cur"];
        for name in names {
            Folder::of(dir.path(), name).create().unwrap();
        }
        let found: Vec<String> =
            Folder::find(dir.path()).unwrap().into_iter().map(|folder| folder.name).collect();
        let mut sorted = names;
        sorted.sort_unstable();
        assert_eq!(found, sorted);
        let mut parts: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        parts.sort();
        insta::assert_snapshot!(parts.join(" "), @".M&APw-ll.&- .Sent .a.b .w&,w4-x.&,w7,Dg- .x.cur cur new tmp");
        let error = Folder::find(&dir.path().join("tmp")).unwrap_err().to_string();
        assert!(
            error.ends_with("neither it nor a directory in it has the directories cur and new")
        );
    }

    #[test]
    fn flags_become_letters_and_flags_again() {
        let mut keywords = Keywords::default();
        let all = ["\\Seen", "\\Answered", "$Forwarded", "work", "\\Draft"].map(str::to_owned);
        assert_eq!(keywords.suffix(&all), (":2,DPRSab".to_owned(), 0));
        assert_eq!(
            keywords.flags("DPRSabz"),
            ["\\Draft", "$Forwarded", "\\Answered", "\\Seen", "$Forwarded", "work"]
        );
        let many: Vec<String> = (0..30).map(|number| format!("k{number}")).collect();
        assert_eq!(keywords.suffix(&many), (":2,cdefghijklmnopqrstuvwxyz".to_owned(), 6));
        let dir = tempfile::tempdir().unwrap();
        keywords.write(dir.path()).unwrap();
        assert_eq!(Keywords::of(dir.path()).names, keywords.names);
    }

    #[test]
    fn messages_come_in_the_order_of_their_uids() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::of(dir.path(), "INBOX");
        folder.create().unwrap();
        for name in ["cur/3.a:2,S", "cur/1.b:2,", "new/2.c", "cur/4.d,S=5:2,F", "cur/.hidden"] {
            fs::write(dir.path().join(name), b"x").unwrap();
        }
        let bases = || -> Vec<String> {
            let entries = folder.messages(&Keywords::default()).unwrap();
            entries.into_iter().map(|entry| entry.base).collect()
        };
        assert_eq!(bases(), ["1.b", "2.c", "3.a", "4.d,S=5"]);
        let list = "3 V1 N9 Gabc\n7 W10 :4.d,S=5:2,\n8 :3.a\nnonsense\n";
        fs::write(dir.path().join("dovecot-uidlist"), list).unwrap();
        assert_eq!(bases(), ["4.d,S=5", "3.a", "1.b", "2.c"]);
    }
}
