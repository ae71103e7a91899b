//! LIST and LSUB (RFC 3501 §6.3.8, RFC 5258, RFC 6154 §5.2, RFC 5819), STATUS items.

use super::{Cursor, Error, Names, decode, is_astring};
use crate::ask::StatusItems;
use crate::limits::Limits;
use crate::pattern::Pattern;

/// A LIST command's arguments.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct List {
    /// Only subscribed names, whether or not they exist.
    pub(crate) subscribed: bool,
    /// Only mailboxes with a special use.
    pub(crate) special_use: bool,
    /// Also parents of what is selected.
    pub(crate) recursive: bool,
    /// The return options.
    pub(crate) returns: Returns,
    /// The reference was empty and so was the only pattern: the separator is wanted (RFC 3501 §6.3.8).
    pub(crate) separator: bool,
    /// What the names must match, one of them; empty when nothing can match.
    pub(crate) patterns: Vec<Pattern>,
}

/// What LIST tells beside a name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Returns {
    pub(crate) subscribed: bool,
    pub(crate) status: Option<StatusItems>,
}

impl List {
    /// Reads what follows LIST.
    pub(crate) fn parse(
        cursor: &mut Cursor<'_>,
        names: Names,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let mut list = Self::default();
        cursor.space()?;
        if cursor.peek() == Some(b'(') {
            let mut base = false;
            cursor.list(true, |cursor| {
                let option = cursor.atom("a selection option")?;
                match_option(option, &mut list, &mut base)
            })?;
            // RFC 5258 §3.1: RECURSIVEMATCH needs something to match.
            if list.recursive && !base {
                return Err(Error::Expected("another selection option beside RECURSIVEMATCH"));
            }
            cursor.space()?;
        }
        let reference = cursor.astring().or_else(|_| pattern_text(cursor))?;
        cursor.space()?;
        let mut texts = Vec::new();
        if cursor.peek() == Some(b'(') {
            cursor.list(false, |cursor| {
                if texts.len() >= limits.patterns {
                    return Err(Error::Limit("patterns"));
                }
                texts.push(pattern_text(cursor)?);
                Ok(())
            })?;
        } else {
            texts.push(pattern_text(cursor)?);
        }
        list.separator =
            reference.is_empty() && matches!(texts.as_slice(), [only] if only.is_empty());
        if cursor.skip(b" RETURN ") {
            cursor.list(true, |cursor| return_option(cursor, &mut list.returns))?;
        }
        cursor.end()?;
        list.returns.subscribed |= list.subscribed;
        // All together, for matching costs as much as all of them.
        let mut bytes = 0;
        for text in texts {
            bytes += reference.len() + text.len();
            if bytes > limits.pattern {
                return Err(Error::Limit("patterns"));
            }
            // A pattern that isn't written in the one right way matches nothing.
            let whole = [&reference[..], &text[..]].concat();
            if let Some(text) = decode(&whole, names).filter(|text| !text.is_empty()) {
                list.patterns.push(Pattern::new(&text));
            }
        }
        Ok(list)
    }
}

fn match_option(option: &[u8], list: &mut List, base: &mut bool) -> Result<(), Error> {
    match option.to_ascii_uppercase().as_slice() {
        b"SUBSCRIBED" => (list.subscribed, *base) = (true, true),
        b"SPECIAL-USE" => (list.special_use, *base) = (true, true),
        b"RECURSIVEMATCH" => list.recursive = true,
        // RFC 5258 §3.1: there are no remote mailboxes to add.
        b"REMOTE" => {}
        _ => return Err(Error::Unknown("selection option")),
    }
    Ok(())
}

fn return_option(cursor: &mut Cursor<'_>, returns: &mut Returns) -> Result<(), Error> {
    match cursor.atom("a return option")?.to_ascii_uppercase().as_slice() {
        b"SUBSCRIBED" => returns.subscribed = true,
        // Both are always told.
        b"CHILDREN" | b"SPECIAL-USE" => {}
        b"STATUS" => {
            cursor.space()?;
            returns.status = Some(status_items(cursor)?);
        }
        _ => return Err(Error::Unknown("return option")),
    }
    Ok(())
}

/// `list-mailbox`: like an astring, with wildcards.
fn pattern_text<'a>(cursor: &mut Cursor<'a>) -> Result<std::borrow::Cow<'a, [u8]>, Error> {
    match cursor.peek() {
        Some(b'"' | b'{') => cursor.string(),
        Some(_) | None => {
            match cursor.run(|byte| is_astring(byte) || matches!(byte, b'*' | b'%')) {
                b"" => Err(Error::Expected("a pattern")),
                text => Ok(text.into()),
            }
        }
    }
}

/// `(` status-att … `)` (RFC 3501 §6.3.10, RFC 9051 §6.3.11, RFC 8438, RFC 8474).
pub(crate) fn status_items(cursor: &mut Cursor<'_>) -> Result<StatusItems, Error> {
    let mut items = StatusItems::default();
    cursor.list(false, |cursor| {
        let name = cursor.atom("a status item")?;
        let known = StatusItems::NAMES
            .iter()
            .find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name));
        items.0 |= known.ok_or(Error::Unknown("status item"))?.0.0;
        Ok(())
    })?;
    Ok(items)
}
