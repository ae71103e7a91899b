//! What is said over the control socket: one line of JSON asks, lines of JSON answer.
//!
//! Fields may be added; who reads ignores those it does not know. Times are in milliseconds, sizes in bytes.

use crate::backup::{Done, Refused, RestoreTask, Restored};
use crate::store::{Expunged, Finding, Rebuilt, Revived, Undeleted, Which};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The version of the protocol. A server answers this one alone.
pub const VERSION: u32 = 1;

/// What is asked, and in which version.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// What.
    #[serde(flatten)]
    pub command: Command,
}

/// See [`Request`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// How the server is: one [`Reply::Status`].
    Status,
    /// Who is connected: a [`Reply::Session`] each.
    Sessions,
    /// Ends the session of this id.
    Kick {
        /// As `sessions` gives it, and the log.
        id: String,
    },
    /// Ends all sessions of a user.
    KickUser {
        /// The account's name.
        user: String,
    },
    /// The connection goes on as an IMAP session in this account, beginning with the greeting `* PREAUTH`. Only a
    /// [`Reply::Error`] comes as JSON.
    Imap {
        /// The account's name.
        user: String,
    },
    /// Gives back the room of expunged mail, now and all of it: a [`Reply::Purged`] for each account.
    Purge {
        /// Whose; all accounts' when nobody is named.
        user: Option<String>,
        /// Also of what could yet be brought back.
        #[serde(default)]
        forget: bool,
    },
    /// Lists a user's expunged messages that can be brought back: [`Reply::Progress`], and a [`Reply::Expunged`] each.
    ListExpunged {
        /// Whose.
        user: String,
        /// Which.
        which: Which,
    },
    /// Brings expunged messages back: [`Reply::Progress`], and a [`Reply::Undeleted`] for each mailbox.
    Undelete {
        /// Whose.
        user: String,
        /// Which.
        which: Which,
        /// Into this mailbox; each into the one it was in when none is named.
        to: Option<String>,
    },
    /// Makes a backup: [`Reply::Progress`], a [`Reply::LeftOut`] for each account that can't be read, and a
    /// [`Reply::BackedUp`]. It ends when the other side closes.
    Backup {
        /// The backup directory, from the root.
        dir: PathBuf,
        /// Whose mail; all accounts' when nobody is named.
        users: Vec<String>,
        /// How many generations are kept; all when nothing is said.
        keep: Option<u32>,
    },
    /// Brings accounts of a backup back: [`Reply::Progress`], and a [`Reply::Restored`] or [`Reply::NotRestored`] for each.
    Restore(RestoreTask),
    /// Looks at the files of mailboxes: [`Reply::Progress`], and a [`Reply::Finding`] for each thing that is wrong.
    CheckMailboxes {
        /// Whose; all accounts' when nobody is named.
        user: Option<String>,
        /// Which; all of them when none is named.
        mailbox: Option<String>,
    },
    /// Makes mailboxes anew: [`Reply::Progress`], and a [`Reply::Rebuilt`] for each; an account that can't be read as a whole,
    /// and then a [`Reply::Revived`].
    RebuildMailboxes {
        /// Whose; all accounts' when nobody is named.
        user: Option<String>,
        /// Which; all of them when none is named.
        mailbox: Option<String>,
    },
}

/// A line of the answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// How the server is.
    Status(Box<Status>),
    /// One session.
    Session(Session),
    /// Something is wrong with a file.
    Finding(Finding),
    /// What became of a mailbox that was made anew.
    Rebuilt(Box<Rebuilt>),
    /// What became of an account that was made anew.
    Revived(Box<Revived>),
    /// A message that can be brought back.
    Expunged(Box<Expunged>),
    /// What was brought back into a mailbox.
    Undeleted(Undeleted),
    /// What an account's expunged mail has given back.
    Purged {
        /// Whose.
        user: String,
        /// Bytes of files that went.
        freed: u64,
        /// Bytes of messages that moved for it.
        moved: u64,
    },
    /// A backup was made.
    BackedUp(Done),
    /// An account can't be read, and is not in the backup.
    LeftOut(Refused),
    /// An account came back.
    Restored(Box<Restored>),
    /// An account did not.
    NotRestored(Refused),
    /// How far it is.
    Progress {
        /// Whose mailboxes are looked at.
        user: String,
        /// What is counted, or which mailbox is looked at.
        what: String,
        /// How many are done.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// All is said and done; how many sessions it was about, or findings, mailboxes made anew, accounts,
    /// messages.
    Done(u64),
    /// It can't be done: why, and what to do about it. The last line.
    Error(String),
}

impl Reply {
    /// The line, with its end.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("its maps have keys that are text");
        line.push(b'\n');
        line
    }
}

/// How the server is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Status {
    /// Of Loft.
    pub version: String,
    /// What the server calls itself.
    pub hostname: String,
    /// Its process.
    pub pid: u32,
    /// How long it has been running.
    pub uptime_ms: u64,
    /// Where the mail is.
    pub data_dir: String,
    /// Accounts there are.
    pub accounts: u64,
    /// Accounts in memory.
    pub accounts_loaded: u64,
    /// Sessions there are, by protocol and state.
    pub sessions: BTreeMap<String, BTreeMap<String, u64>>,
    /// Sessions there were, these included.
    pub sessions_begun: u64,
    /// Log-ins since the start.
    pub logins: Logins,
    /// Mail since the start.
    pub mail: Mail,
    /// The journal.
    pub journal: Journal,
    /// The file system that has the mail.
    pub disk: Disk,
}

/// Log-ins.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Logins {
    /// That were right.
    pub accepted: u64,
    /// That were wrong.
    pub refused: u64,
    /// That were told to come again later.
    pub put_off: u64,
}

/// Mail that came in.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Mail {
    /// Messages over LMTP that were saved for somebody.
    pub accepted: u64,
    /// Messages over LMTP that were saved for nobody.
    pub refused: u64,
    /// Copies of them that were saved: one for each recipient.
    pub deliveries: u64,
    /// Copies that were not.
    pub deliveries_failed: u64,
    /// Recipients that are not known here.
    pub unknown_recipients: u64,
    /// Messages that came by APPEND.
    pub appended: u64,
    /// New mail is refused now, for want of room or since the journal can't be written.
    pub refusing: bool,
}

/// The journal since the start.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Journal {
    /// The last change that is durable.
    pub position: u64,
    /// Groups of changes that became durable together.
    pub groups: u64,
    /// Changes in them.
    pub changes: u64,
    /// Bytes since the last checkpoint.
    pub bytes: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Groups and checkpoints that failed.
    pub failed: u64,
}

/// Room, in bytes; 0 of all where the system does not say.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Disk {
    /// In all.
    pub size: u64,
    /// Taken, by whatever.
    pub used: u64,
    /// Left for the server.
    pub free: u64,
}

/// One session.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Session {
    /// As the log has it.
    pub id: String,
    /// `imap`, `imaps` or `lmtp`.
    pub service: String,
    /// The other side's address; none on a UNIX socket.
    pub peer: Option<String>,
    /// In TLS.
    pub tls: bool,
    /// Who has logged in.
    pub user: Option<String>,
    /// The selected mailbox.
    pub mailbox: Option<String>,
    /// What it is at: `login`, `authenticated`, `selected`, `idle`, `busy`, `ready`, `envelope`, `text` or `ending`.
    pub state: String,
    /// When it began, in seconds since 1970.
    pub since: u64,
    /// How long it has been there.
    pub age_ms: u64,
    /// How long the other side has sent nothing.
    pub idle_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_what_is_documented() {
        let request =
            |command| serde_json::to_string(&Request { version: VERSION, command }).unwrap();
        let lines = [
            request(Command::Status),
            request(Command::Sessions),
            request(Command::Kick { id: "tro8w0-2".into() }),
            request(Command::KickUser { user: "alice".into() }),
            request(Command::Imap { user: "alice".into() }),
            request(Command::Purge { user: Some("alice".into()), forget: false }),
            request(Command::ListExpunged { user: "alice".into(), which: Which::default() }),
            request(Command::Undelete {
                user: "alice".into(),
                which: Which { mailbox: Some("INBOX".into()), ..Which::default() },
                to: None,
            }),
            request(Command::Backup { dir: "/backup".into(), users: vec![], keep: Some(7) }),
            request(Command::Restore(RestoreTask {
                dir: "/backup".into(),
                users: vec!["alice".into()],
                ..RestoreTask::default()
            })),
            request(Command::CheckMailboxes { user: Some("alice".into()), mailbox: None }),
            request(Command::RebuildMailboxes { user: None, mailbox: Some("INBOX".into()) }),
            String::from_utf8(Reply::Done(2).line()).unwrap().trim_end().to_owned(),
            String::from_utf8(Reply::Error("no\n".into()).line()).unwrap().trim_end().to_owned(),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"version":1,"command":"status"}
        {"version":1,"command":"sessions"}
        {"version":1,"command":"kick","id":"tro8w0-2"}
        {"version":1,"command":"kick_user","user":"alice"}
        {"version":1,"command":"imap","user":"alice"}
        {"version":1,"command":"purge","user":"alice","forget":false}
        {"version":1,"command":"list_expunged","user":"alice","which":{"mailbox":null,"since":null,"guids":[]}}
        {"version":1,"command":"undelete","user":"alice","which":{"mailbox":"INBOX","since":null,"guids":[]},"to":null}
        {"version":1,"command":"backup","dir":"/backup","users":[],"keep":7}
        {"version":1,"command":"restore","dir":"/backup","generation":null,"users":["alice"],"rename":null,"replace":false,"new_uidvalidity":false}
        {"version":1,"command":"check_mailboxes","user":"alice","mailbox":null}
        {"version":1,"command":"rebuild_mailboxes","user":null,"mailbox":"INBOX"}
        {"done":2}
        {"error":"no\n"}
        "#);
    }

    #[test]
    fn fields_of_a_newer_server_are_left_out() {
        let line = r#"{"session":{"id":"a-1","service":"pop3","new":[1],"state":"x"}}"#;
        let Reply::Session(session) = serde_json::from_str(line).unwrap() else { panic!() };
        assert_eq!((session.id.as_str(), session.state.as_str(), session.tls), ("a-1", "x", false));
    }
}
