//! `loft message`: lists expunged mail, and brings it back.

use super::mailbox::{Error, Teller};
use super::operate::{Place, json, size, visible};
use crate::alone;
use crate::control::client::{self, Error as AskError};
use crate::control::mailboxes;
use crate::control::protocol::{Command as Ask, Reply};
use crate::store::{Expunged, Undeleted, Which};
use clap::{Args, Subcommand};
use runtime_smol::Clock;
use std::collections::BTreeSet;
use std::fmt::Write as _;

pub(super) const EXAMPLE: &str = "\
Example:
  loft message list-expunged alice
  loft message undelete alice --mailbox INBOX --since 2d

Expunged mail can be brought back for as long as `[limits.store] undelete` says, 7 days if nothing else is set: until then \
its room is not given back, unless `loft purge --forget` does it, or the disk has less room than `[limits.store] reserve`.";

/// What `loft message` can do.
#[derive(Debug, Eq, PartialEq, Subcommand)]
pub enum Command {
    /// List the expunged messages that can be brought back, the last to go first.
    #[command(
        after_help = "Example:\n  loft message list-expunged alice\n  loft message list-expunged alice --mailbox INBOX --json | head -1\n\n\
        A message that is still in another mailbox is not listed. What is shown of it: when it was expunged, its GUID (which \
        IMAP calls EMAILID), its size, its mailbox, and its subject."
    )]
    ListExpunged {
        /// Which.
        #[command(flatten)]
        meant: Meant,
    },
    /// Bring expunged messages back, each into the mailbox it was last in, with the flags it had.
    #[command(
        after_help = "Example:\n  loft message undelete alice --mailbox INBOX --since 12h\n  loft message undelete alice --to Restored\n  \
        loft message undelete alice --guid 0123456789abcdef0123456789abcdef\n\n\
        A mailbox that is not there (any more) is made. The messages get new UIDs, and come without \\Deleted. Where the flags \
        they had last are not known they get those they were saved with. Clients that are connected are told of them."
    )]
    Undelete {
        /// Which.
        #[command(flatten)]
        meant: Meant,
        /// The mailbox they all go to, instead of those they were in.
        #[arg(long, value_name = "MAILBOX")]
        to: Option<String>,
    },
}

/// Which messages, and how it is told.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct Meant {
    /// Whose.
    user: String,
    /// Those that were last in this mailbox.
    #[arg(long, value_name = "MAILBOX")]
    mailbox: Option<String>,
    /// Those expunged since: so long ago (90min, 12h, 2d), or at this time in seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// This message; may be given more than once.
    #[arg(long, value_name = "GUID", value_parser = guid)]
    guid: Vec<String>,
    /// A JSON object for each thing that is told, a line each.
    #[arg(long)]
    json: bool,
    /// Which server is meant.
    #[command(flatten)]
    place: Place,
}

/// Since when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Since {
    /// Seconds ago.
    Ago(i64),
    /// Seconds since 1970.
    At(i64),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = text.parse() {
        return Ok(Since::At(at));
    }
    let ago = crate::config::time(text).and_then(|millis| i64::try_from(millis / 1000).ok());
    ago.map(Since::Ago).ok_or_else(|| {
        "write how long ago, such as 90min, 12h or 2d, or a time in seconds since 1970, as `date -d yesterday +%s` gives it"
            .to_owned()
    })
}

fn guid(text: &str) -> Result<String, String> {
    let right = text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit());
    if right {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a GUID is 32 hexadecimal digits; `loft message list-expunged` shows them".to_owned())
    }
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(self) -> Result<(), Error> {
        let (list, meant, to) = match self {
            Self::ListExpunged { meant } => (true, meant, None),
            Self::Undelete { meant, to } => (false, meant, to),
        };
        let Meant { user, mailbox, since, guid, json, place } = meant;
        let since = since.map(|since| match since {
            Since::At(at) => at,
            Since::Ago(ago) => i64::try_from(Clock::new().wall()).unwrap_or(i64::MAX) - ago,
        });
        let which = Which { mailbox, since, guids: guid.into_iter().collect::<BTreeSet<_>>() };
        let (data, config) = place.store()?;
        let mut told = Teller::new(json);
        let ask = match list {
            true => Ask::ListExpunged { user: user.clone(), which: which.clone() },
            false => Ask::Undelete { user: user.clone(), which: which.clone(), to: to.clone() },
        };
        let mut count = 0;
        let mut each = |reply: Reply| {
            count += u64::from(matches!(reply, Reply::Expunged(_) | Reply::Undeleted(_)));
            told.reply(reply);
        };
        match client::ask(&data, ask, &mut each) {
            Err(AskError::NotRunning { .. }) => {
                alone::with_store(&data, config, |store| match list {
                    true => mailboxes::expunged(store, (&user, &which), &mut each),
                    false => mailboxes::undelete(store, (&user, &which, to.as_deref()), &mut each),
                })?
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        if count == 0 {
            told.say("nothing is expunged that can be brought back and is meant\n");
        }
        told.end(true)
    }
}

/// A message that can be brought back, for people or as JSON.
pub(super) fn expunged_line(reply: &Reply, message: &Expunged, as_json: bool) -> String {
    if as_json {
        return json(reply);
    }
    let Expunged { guid, mailbox, expunged, size: bytes, subject, .. } = message;
    let when = if *expunged == 0 { "unknown time".to_owned() } else { date(*expunged) };
    let (bytes, mailbox, subject) = (size(*bytes), visible(mailbox), visible(subject));
    format!("{when}  {guid}  {bytes:>9}  {mailbox}: {subject}\n")
}

/// What was brought back, for people or as JSON.
pub(super) fn undeleted_line(reply: &Reply, undeleted: &Undeleted, as_json: bool) -> String {
    if as_json {
        return json(reply);
    }
    let Undeleted { user, mailbox, created, messages, as_saved } = undeleted;
    let mut line = format!(
        "{} {}: {messages} {} brought back",
        visible(user),
        visible(mailbox),
        if *messages == 1 { "message" } else { "messages" }
    );
    if *created {
        line += "; the mailbox was made for it";
    }
    if *as_saved > 0 {
        let _ = write!(line, "; {as_saved} with the flags they were saved with");
    }
    line + "\n"
}

/// `2027-01-15 08:00:00`, UTC.
fn date(seconds: i64) -> String {
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days are counted from 1 March of the year 0, in eras of 400 years.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, (month + 2) % 12 + 1);
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_are_told() {
        let message = Expunged {
            guid: "00".repeat(16),
            mailbox: "INBOX".into(),
            expunged: 1_800_000_000,
            size: 5000,
            subject: "Ahoy\u{7}".into(),
            ..Expunged::default()
        };
        let reply = Reply::Expunged(Box::new(message.clone()));
        let back = Undeleted {
            user: "alice".into(),
            mailbox: "Old".into(),
            created: true,
            messages: 1,
            as_saved: 1,
        };
        let line = undeleted_line(&Reply::Undeleted(back.clone()), &back, false);
        insta::assert_snapshot!(expunged_line(&reply, &message, false) + &line, @r"
        2027-01-15 08:00:00  00000000000000000000000000000000    4.8 KiB  INBOX: Ahoy\u{7}
        alice Old: 1 message brought back; the mailbox was made for it; 1 with the flags they were saved with
        ");
        assert_eq!(
            [0, 951_782_400, 4_107_542_399].map(date),
            ["1970-01-01 00:00:00", "2000-02-29 00:00:00", "2100-02-28 23:59:59"]
        );
    }

    #[test]
    fn times_and_guids_as_people_write_them() {
        assert_eq!(since("2d"), Ok(Since::Ago(172_800)));
        assert_eq!(since("90 min"), Ok(Since::Ago(5400)));
        assert_eq!(since("1800000000"), Ok(Since::At(1_800_000_000)));
        assert!(since("yesterday").is_err());
        assert_eq!(guid(&"AB".repeat(16)), Ok("ab".repeat(16)));
        assert!(guid("ab").is_err());
    }
}
