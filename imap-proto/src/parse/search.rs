//! SEARCH (RFC 3501 §6.4.4 and §9 `search`, RFC 4731 RETURN, RFC 5182 SAVE, RFC 7162
//! MODSEQ, RFC 8474 EMAILID and THREADID, draft-ietf-morg-inthread INTHREAD, RFC 8514 save dates).

use super::partial::Partial;
use super::set::Numbers;
use super::{Cursor, Error, Names, condstore, sort};
use crate::date::Day;
use crate::mime::charset::Charset;
use crate::object_id;
use crate::search::{Key, Order};
use crate::types::{Keyword, SystemFlags, UidSet};
use crate::view::View;

/// What a SEARCH is to give back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Return {
    /// RETURN was said: ESEARCH is the answer.
    pub(crate) extended: bool,
    pub(crate) min: bool,
    pub(crate) max: bool,
    pub(crate) all: bool,
    pub(crate) count: bool,
    pub(crate) save: bool,
    /// The results are kept up to date (RFC 5267 §4.3).
    pub(crate) update: bool,
    /// They will be asked for again (§4.2), which needs nothing of us.
    pub(crate) context: bool,
    /// Only these of the results (RFC 5267 §4.4, RFC 9394 §3.1).
    pub(crate) partial: Option<Partial>,
}

/// Reads keys; numbers become UIDs of the messages in `view`.
pub(crate) struct Search<'v> {
    pub(crate) view: &'v View,
    pub(crate) saved: &'v UidSet,
    /// How deep keys may nest.
    pub(crate) depth: u32,
    /// How many keys there may be.
    pub(crate) terms: usize,
    /// How many ranges all sets of messages may have together. Each `1:*` has as many as the view, and a command has room
    /// for a thousand.
    pub(crate) ranges: usize,
    /// Whether MODSEQ was among the keys (RFC 7162 §3.1.5).
    pub(crate) modseq: bool,
    /// What text is when no charset is named.
    pub(crate) names: Names,
    /// What text is; read from the command.
    pub(crate) charset: Option<Charset>,
}

impl Return {
    /// `RETURN (` … `)`, if it is there.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        let mut out = Self::default();
        if !cursor.skip(b" RETURN ") {
            return Ok(out);
        }
        out.extended = true;
        cursor.list(true, |cursor| {
            match cursor.atom("a result option")?.to_ascii_uppercase().as_slice() {
                b"MIN" => out.min = true,
                b"MAX" => out.max = true,
                b"ALL" => out.all = true,
                b"COUNT" => out.count = true,
                b"SAVE" => out.save = true,
                b"UPDATE" => out.update = true,
                b"CONTEXT" => out.context = true,
                b"PARTIAL" if out.partial.is_none() => {
                    cursor.space()?;
                    out.partial = Some(Partial::parse(cursor)?);
                }
                b"PARTIAL" => return Err(Error::Expected("PARTIAL once")),
                _ => return Err(Error::Unknown("result option")),
            }
            Ok(())
        })?;
        // RFC 4731 §3.1: nothing named means ALL; RFC 5182 §2.1: SAVE alone answers nothing.
        out.all |= !(out.answers() || out.save);
        // RFC 5267 §4.4, RFC 9394 §3.1: one of the two at most.
        if out.all && out.partial.is_some() {
            return Err(Error::Expected("ALL or PARTIAL, not both"));
        }
        Ok(out)
    }

    /// Whether anything is told: RFC 5182 §2.1: SAVE alone wants no answer.
    pub(crate) fn answers(&self) -> bool {
        let lists = self.min || self.max || self.all || self.count || self.partial.is_some();
        lists || self.update || self.context
    }

    /// Whether it is about some of the messages found and not about all (RFC 5182 §2.4, RFC 4731 §3.2, RFC 9394 §3.2).
    pub(crate) fn is_about_some(&self) -> bool {
        (self.min || self.max || self.partial.is_some()) && !self.all && !self.count
    }
}

impl Search<'_> {
    /// What `ranges` begins with: for some sets of all messages, however scattered, and for many of a few.
    pub(crate) fn ranges(view: &View) -> usize {
        view.range_count().saturating_mul(16).saturating_add(64 << 10)
    }

    /// The charset, if one is named, and all keys to the end of the command.
    pub(crate) fn parse(&mut self, cursor: &mut Cursor<'_>) -> Result<Key, Error> {
        if cursor.skip(b" CHARSET ") {
            let name = cursor.astring()?;
            self.charset = Some(Charset::known(&name).ok_or(Error::Charset)?);
        } else if self.names == Names::Rev2 {
            // RFC 9051 §6.4.4: UTF-8 unless something else is said.
            self.charset = Some(Charset::default());
        }
        self.keys(cursor)
    }

    /// All keys to the end of the command.
    pub(crate) fn keys(&mut self, cursor: &mut Cursor<'_>) -> Result<Key, Error> {
        let mut keys = Vec::new();
        loop {
            cursor.space()?;
            keys.push(self.key(cursor, 1)?);
            if cursor.end().is_ok() {
                return Ok(joined(keys));
            }
        }
    }

    /// One key; recursion is bounded by `self.depth`.
    fn key(&mut self, cursor: &mut Cursor<'_>, depth: u32) -> Result<Key, Error> {
        self.terms = self.terms.checked_sub(1).ok_or(Error::Limit("search keys"))?;
        if depth > self.depth {
            return Err(Error::Limit("nested search keys"));
        }
        match cursor.peek() {
            Some(b'(') => {
                let mut keys = Vec::new();
                cursor.list(false, |cursor| {
                    keys.push(self.key(cursor, depth + 1)?);
                    Ok(())
                })?;
                return Ok(joined(keys));
            }
            Some(b'0'..=b'9' | b'*' | b'$') => {
                return self.set(cursor, false);
            }
            Some(_) | None => {}
        }
        let mut upper = [0; 20];
        let name = cursor.run(|byte| byte.is_ascii_alphabetic());
        let upper = upper.get_mut(..name.len()).ok_or(Error::Unknown("search key"))?;
        upper.copy_from_slice(name);
        upper.make_ascii_uppercase();
        Ok(match &*upper {
            b"ALL" => Key::All,
            b"ANSWERED" => Key::Flags(SystemFlags::ANSWERED),
            b"DELETED" => Key::Flags(SystemFlags::DELETED),
            b"DRAFT" => Key::Flags(SystemFlags::DRAFT),
            b"FLAGGED" => Key::Flags(SystemFlags::FLAGGED),
            b"SEEN" => Key::Flags(SystemFlags::SEEN),
            b"UNANSWERED" => Key::Flags(SystemFlags::ANSWERED).negated(),
            b"UNDELETED" => Key::Flags(SystemFlags::DELETED).negated(),
            b"UNDRAFT" => Key::Flags(SystemFlags::DRAFT).negated(),
            b"UNFLAGGED" => Key::Flags(SystemFlags::FLAGGED).negated(),
            b"UNSEEN" => Key::Flags(SystemFlags::SEEN).negated(),
            b"NEW" => Key::And(vec![Key::Recent, Key::Flags(SystemFlags::SEEN).negated()]),
            b"OLD" => Key::Recent.negated(),
            b"RECENT" => Key::Recent,
            b"KEYWORD" => Key::Keyword(keyword(cursor)?),
            b"UNKEYWORD" => Key::Keyword(keyword(cursor)?).negated(),
            b"BEFORE" => Key::Internal(Order::Before, day(cursor)?),
            b"ON" => Key::Internal(Order::On, day(cursor)?),
            b"SINCE" => Key::Internal(Order::Since, day(cursor)?),
            b"SENTBEFORE" => Key::Sent(Order::Before, day(cursor)?),
            b"SENTON" => Key::Sent(Order::On, day(cursor)?),
            b"SENTSINCE" => Key::Sent(Order::Since, day(cursor)?),
            b"LARGER" => Key::Larger(size(cursor)?),
            b"SMALLER" => Key::Smaller(size(cursor)?),
            b"BCC" => Key::header("Bcc", &self.text(cursor)?),
            b"CC" => Key::header("Cc", &self.text(cursor)?),
            b"FROM" => Key::header("From", &self.text(cursor)?),
            b"SUBJECT" => Key::header("Subject", &self.text(cursor)?),
            b"TO" => Key::header("To", &self.text(cursor)?),
            b"HEADER" => Key::Header { field: astring(cursor)?, value: self.text(cursor)? },
            b"BODY" => Key::Body(self.text(cursor)?),
            b"TEXT" => Key::Text(self.text(cursor)?),
            b"MODSEQ" => {
                self.modseq = true;
                Key::ModSeq(condstore::search_modseq(cursor)?)
            }
            b"EMAILID" => Key::EmailId(object_id(cursor)?),
            b"THREADID" => Key::ThreadId(object_id(cursor)?),
            b"INTHREAD" => {
                cursor.space()?;
                let algorithm = sort::algorithm_if_named(cursor)?;
                Key::InThread(algorithm, Box::new(self.key(cursor, depth + 1)?))
            }
            b"SAVEDBEFORE" => Key::Saved(Order::Before, day(cursor)?),
            b"SAVEDON" => Key::Saved(Order::On, day(cursor)?),
            b"SAVEDSINCE" => Key::Saved(Order::Since, day(cursor)?),
            // RFC 8514 §4.3: every mailbox keeps save dates.
            b"SAVEDATESUPPORTED" => Key::All,
            b"UID" => {
                cursor.space()?;
                self.set(cursor, true)?
            }
            b"NOT" => {
                cursor.space()?;
                self.key(cursor, depth + 1)?.negated()
            }
            b"OR" => {
                cursor.space()?;
                let left = self.key(cursor, depth + 1)?;
                cursor.space()?;
                Key::Or(Box::new(left), Box::new(self.key(cursor, depth + 1)?))
            }
            _ => return Err(Error::Unknown("search key")),
        })
    }

    fn set(&mut self, cursor: &mut Cursor<'_>, by_uid: bool) -> Result<Key, Error> {
        let uids = Numbers::parse(cursor)?.resolve(self.view, self.saved, by_uid)?;
        let left = self.ranges.checked_sub(uids.ranges().len());
        self.ranges = left.ok_or(Error::Limit("sets of messages"))?;
        Ok(Key::Uids(uids))
    }

    /// Text to look for, in UTF-8. IMAP4rev1 clients send 8 bits without naming a charset: what that is, each message
    /// compared with it decides as for its own (RFC 3501 §6.4.4 says US-ASCII).
    fn text(&self, cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Error> {
        let text = astring(cursor)?;
        match self.charset {
            Some(charset) => {
                charset.decode_exactly(&text).ok_or(Error::Expected("text in the charset"))
            }
            None => Ok(text),
        }
    }
}

fn joined(mut keys: Vec<Key>) -> Key {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(last) => {
            keys.push(last);
            Key::And(keys)
        }
        None => Key::All,
    }
}

fn astring(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Error> {
    cursor.space()?;
    Ok(cursor.astring()?.into_owned())
}

fn size(cursor: &mut Cursor<'_>) -> Result<u64, Error> {
    cursor.space()?;
    cursor.number64()
}

fn day(cursor: &mut Cursor<'_>) -> Result<Day, Error> {
    Day::parse(&astring(cursor)?).map_err(|_| Error::Expected("a date such as 1-Feb-1994"))
}

fn object_id(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Error> {
    cursor.space()?;
    let id = cursor.run(object_id::is_allowed);
    if id.is_empty() || id.len() > object_id::MAX {
        return Err(Error::Expected("an object id"));
    }
    Ok(id.to_vec())
}

fn keyword(cursor: &mut Cursor<'_>) -> Result<Keyword, Error> {
    cursor.space()?;
    let name =
        std::str::from_utf8(cursor.atom("a keyword")?).map_err(|_| Error::Expected("a keyword"))?;
    Keyword::new(name).ok_or(Error::Limit("keyword"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Uid;

    /// A mailbox in pieces, as one is where every other message was expunged.
    #[test]
    fn row_46_sets_of_messages_are_bounded_together() {
        let view = View::new(&(1..100_000).step_by(2).map(Uid).collect());
        let saved = view.uids();
        let parse = |keys: &str, times: usize| {
            let ranges = Search::ranges(&view);
            let terms = 1000;
            let (modseq, names, charset) = (false, Names::Rev1, None);
            let mut search = Search {
                view: &view,
                saved: &saved,
                depth: 9,
                terms,
                ranges,
                modseq,
                names,
                charset,
            };
            search.parse(&mut Cursor::new(keys.repeat(times).as_bytes())).map(|_| ())
        };
        for keys in [" 1:*", " UID 1:*", " $", " NOT UID $"] {
            assert_eq!(parse(keys, 10), Ok(()), "{keys}");
            assert_eq!(parse(keys, 400), Err(Error::Limit("sets of messages")), "{keys}");
        }
        assert_eq!(parse(" 1:9,20:30", 999), Ok(()));
    }
}
