//! Whether what the server says is IMAP: every response is parsed again by a grammar that isn't ours.
//!
//! [`Checker`] takes what a connection sends, cut anywhere, and cuts it into responses by the rules for strings and
//! literals alone; each one must then be read whole by `imap-codec`, without any of its leniencies. What that crate does
//! not know is checked here, by the RFC's grammar, and taken away before it looks (see [`Response::known`]):
//! - ESEARCH (RFC 4731 §5, RFC 4466 §2.6.2, RFC 9394 §4, RFC 5267 §5)
//! - APPENDUID of several messages (RFC 4315 §4)
//! - a name's extended data in LIST: CHILDINFO, OLDNAME (RFC 5258 §6, RFC 9051 §9)
//! - the origin of a partial BINARY (RFC 3516 §7), and any beyond 32 bits (RFC 9051 §9 `number64`)
//! - EMAILID, THREADID, MAILBOXID (RFC 8474 §7), SAVEDATE (RFC 8514 §6), APPENDLIMIT (RFC 7889 §5)
//! - structures nested deeper than its parser goes: their strings and brackets alone
//!
//! What it lets pass is looked at here, too: response codes that no RFC has, bytes above ASCII where IMAP4rev2 was not
//! enabled (RFC 9051 appendix A), and what IMAP4rev2 took away where it was (appendix E).
#![allow(dead_code)] // each user takes its part
#![allow(clippy::indexing_slicing, clippy::unwrap_used, unreachable_pub)] // for tests only

use imap_codec::decode::Decoder as _;
use imap_codec::imap_types::response::{Code, Response as Parsed, Status};
use imap_codec::{GreetingCodec, ResponseCodec};

/// Stands for a string where a response's text is looked at.
const STRING: char = '\u{1}';

/// Follows one connection.
#[derive(Debug, Default)]
pub struct Checker {
    /// Responses that were complete so far.
    pub count: usize,
    ahead: Vec<u8>,
    greeted: bool,
    /// ENABLED has named IMAP4rev2.
    rev2: bool,
}

impl Checker {
    /// Checks the responses that are complete with these bytes, and says what is wrong with the first bad one.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.ahead.extend_from_slice(bytes);
        let mut rest = self.ahead.as_slice();
        while let Some(response) =
            Response::cut(rest).map_err(|why| format!("{why}: {}", rest.escape_ascii()))?
        {
            let wire = &rest[..response.len];
            let check = self.greeted.then(|| response.check(self.rev2));
            let result = check.unwrap_or_else(|| response.check_greeting(wire));
            result.map_err(|why| format!("{why}: {}", wire.escape_ascii()))?;
            self.greeted = true;
            self.count += 1;
            self.rev2 |= response.text.starts_with("* ENABLED")
                && response.text.to_ascii_uppercase().contains(" IMAP4REV2");
            rest = &rest[response.len..];
        }
        let left = rest.len();
        self.ahead.drain(..self.ahead.len() - left);
        Ok(())
    }

    /// Nothing more comes: a response that was begun is none.
    pub fn finish(&self) -> Result<(), String> {
        match self.ahead.as_slice() {
            [] => Ok(()),
            rest => Err(format!("not a whole response: {}", rest.escape_ascii())),
        }
    }
}

/// All of it is responses of a connection that has begun, in IMAP4rev1 or with IMAP4rev2 enabled.
pub fn check_responses(wire: &[u8], rev2: bool) -> Result<(), String> {
    let mut checker = Checker { greeted: true, rev2, ..Checker::default() };
    checker.feed(wire)?;
    checker.finish()
}

/// One response, its strings apart.
#[derive(Clone, Debug)]
struct Response {
    /// What is not a string, with [`STRING`] where one was; without CRLF.
    text: String,
    /// The strings as they were written.
    strings: Vec<Vec<u8>>,
    len: usize,
}

impl Response {
    /// The first response, once it is whole.
    fn cut(wire: &[u8]) -> Result<Option<Self>, &'static str> {
        let mut response = Self { text: String::new(), strings: Vec::new(), len: 0 };
        let mut rest = wire;
        let free = is_free_text(wire);
        loop {
            let Some((&byte, after)) = rest.split_first() else { return Ok(None) };
            match byte {
                b'\r' if after.is_empty() => return Ok(None),
                b'\r' if after[0] == b'\n' => {
                    response.len = wire.len() - after.len() + 1;
                    return Ok(Some(response));
                }
                0 | b'\r' | b'\n' => return Err("NUL, or a line's end that is none"),
                // A keyword may have `~`, but not `{`.
                b'~' if !free && after.is_empty() => return Ok(None),
                b'"' | b'{' | b'~' if !free && (byte != b'~' || after[0] == b'{') => {
                    let string = if byte == b'"' { quoted(rest)? } else { literal(rest)? };
                    let Some(len) = string else { return Ok(None) };
                    response.text.push(STRING);
                    response.strings.push(rest[..len].to_vec());
                    rest = &rest[len..];
                }
                b' '..=b'~' => {
                    response.text.push(char::from(byte));
                    rest = after;
                }
                _ => return Err("a byte that is no printable ASCII, outside of a string"),
            }
        }
    }

    fn check_greeting(&self, wire: &[u8]) -> Result<(), String> {
        match GreetingCodec::default().decode(wire) {
            Ok(([], greeting)) => greeting.code.as_ref().map_or(Ok(()), known_code),
            other => Err(format!("no greeting ({other:?})")),
        }
    }

    fn check(&self, rev2: bool) -> Result<(), String> {
        self.check_revision(rev2)?;
        if self.text.starts_with("* ESEARCH") {
            return self.check_esearch();
        }
        if self.depth() > 2 * 8 {
            return Ok(());
        }
        let wire = self.known()?.wire();
        match ResponseCodec::default().decode(&wire) {
            Ok(([], Parsed::Status(status))) => {
                let code = match &status {
                    Status::Untagged(body) => &body.code,
                    Status::Tagged(tagged) => &tagged.body.code,
                    Status::Bye(bye) => &bye.code,
                };
                code.as_ref().map_or(Ok(()), known_code)
            }
            Ok(([], _)) => Ok(()),
            other => Err(format!("no response ({other:?})")),
        }
    }

    /// What a client of one revision alone would not understand.
    fn check_revision(&self, rev2: bool) -> Result<(), String> {
        let quoted = || self.strings.iter().filter(|string| string[0] == b'"');
        if !rev2 {
            return match quoted().all(|string| string.is_ascii()) {
                true => Ok(()),
                false => Err("8 bits in a quoted string, and IMAP4rev2 is not enabled".into()),
            };
        }
        if !quoted().all(|string| std::str::from_utf8(string).is_ok()) {
            return Err("a quoted string that is no UTF-8".into());
        }
        let removed = ["* SEARCH", " RECENT", "\\Recent", "[UNSEEN"];
        match removed.iter().find(|word| self.text.contains(*word)) {
            Some(word) => Err(format!("IMAP4rev2 has no {word}")),
            None => Ok(()),
        }
    }

    /// `esearch-response`, whole.
    fn check_esearch(&self) -> Result<(), String> {
        let wrong = || Err("no ESEARCH response".to_owned());
        let Some(rest) = self.text.strip_prefix("* ESEARCH (TAG \u{1})") else { return wrong() };
        if self.strings.len() != 1 {
            return wrong();
        }
        let rest = rest.strip_prefix(" UID").unwrap_or(rest);
        // RFC 5267 §5 `ret-data-addto`, `ret-data-removefrom`: places and results in turns.
        let (name, list) = rest.trim_start().split_once(' ').unwrap_or_default();
        if ["ADDTO", "REMOVEFROM"].contains(&name) {
            let list = list.strip_prefix('(').and_then(|list| list.strip_suffix(')'));
            let words: Vec<&str> = list.unwrap_or_default().split(' ').collect();
            let pair = |pair: &[&str]| match pair {
                [place, results] => is_number(place) && results.split(',').all(is_range),
                _ => false,
            };
            return if words.chunks(2).all(pair) { Ok(()) } else { wrong() };
        }
        let mut words = rest.split(' ');
        match words.next() {
            Some("") => {}
            _ => return wrong(),
        }
        let mut seen = Vec::new();
        while let Some(name) = words.next() {
            let value = words.next().unwrap_or_default();
            let valid = match name {
                "MIN" | "MAX" | "MODSEQ" => is_number(value) && value != "0",
                "COUNT" => is_number(value),
                "ALL" => value.split(',').all(is_range),
                // RFC 9394 §4 `ret-data-partial`
                "PARTIAL" => {
                    let range = value.strip_prefix('(').unwrap_or_default();
                    let from_end = range.starts_with('-');
                    let sides = range.split_once(':').unwrap_or_default();
                    let side = |side: &str| match side.strip_prefix('-') {
                        Some(place) => from_end && is_range(place),
                        None => !from_end && is_range(side),
                    };
                    let results = words.next().and_then(|results| results.strip_suffix(')'));
                    let results = results.unwrap_or_default();
                    side(sides.0)
                        && side(sides.1)
                        && (results == "NIL" || results.split(',').all(is_range))
                        && !seen.contains(&"ALL")
                }
                _ => false,
            };
            if !valid || seen.contains(&name) {
                return wrong();
            }
            seen.push(name);
        }
        Ok(())
    }

    /// How deep brackets nest.
    fn depth(&self) -> usize {
        let mut depth = 0usize;
        let steps = self.text.bytes().map(|byte| {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth
        });
        steps.max().unwrap_or(0)
    }

    /// The response without what `imap-codec` doesn't know, which is checked.
    fn known(&self) -> Result<Self, String> {
        let mut known = self.clone();
        if self.text.starts_with("* LIST ") {
            known.take_list_data()?;
        } else if self.text.contains(" FETCH (") {
            known.take_origins("BODY[")?;
            known.take_origins("BINARY[")?;
            known.take_ids("EMAILID (", 'M')?;
            known.take_ids("THREADID (", 'T')?;
            known.text =
                known.text.replace("THREADID NIL", "UID 1").replace("SAVEDATE NIL", "UID 1");
            known.text = known.text.replace("SAVEDATE ", "INTERNALDATE ");
        } else if self.text.starts_with("* STATUS ") {
            known.take_ids("MAILBOXID (", 'F')?;
            known.take_append_limit()?;
        }
        Ok(known)
    }

    /// `mbox-list-extended`
    fn take_list_data(&mut self) -> Result<(), String> {
        let Some(before) = self.text.strip_suffix(" (\u{1} (\u{1}))") else {
            return match self.text.ends_with(')') {
                true => Err("LIST data that nobody knows".into()),
                false => Ok(()),
            };
        };
        let at = self.strings.len() - 2;
        let valid = match (&self.strings[at][..], &self.strings[at + 1][..]) {
            (b"\"CHILDINFO\"", option) => {
                [&b"\"SUBSCRIBED\""[..], b"\"SPECIAL-USE\""].contains(&option)
            }
            // Any mailbox name; that it is a string was seen.
            (b"\"OLDNAME\"", _) => true,
            _ => false,
        };
        if !valid {
            return Err("LIST data that nobody knows".into());
        }
        self.text = before.to_owned();
        self.strings.truncate(at);
        Ok(())
    }

    /// `BINARY[1]<0>` becomes `BINARY[1]`.
    fn take_origins(&mut self, item: &str) -> Result<(), String> {
        let mut from = 0;
        while let Some(start) = self.text[from..].find(item).map(|start| from + start) {
            let Some(close) = self.text[start..].find(']').map(|close| start + close + 1) else {
                return Err("no section".into());
            };
            from = close;
            let Some(rest) = self.text[close..].strip_prefix('<') else { continue };
            let Some((origin, _)) = rest.split_once("> ") else {
                return Err("half an origin".into());
            };
            if !is_number(origin) {
                return Err("a broken origin".into());
            }
            let end = close + 1 + origin.len() + 1;
            self.text.replace_range(close..end, "");
        }
        Ok(())
    }

    /// `NAME (objectid)` becomes an item that every grammar has.
    fn take_ids(&mut self, name: &str, first: char) -> Result<(), String> {
        while let Some(start) = self.text.find(name) {
            let id = &self.text[start + name.len()..];
            let Some((id, _)) = id.split_once(')') else { return Err("half an object id".into()) };
            let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if !(1..=255).contains(&id.len()) || !id.starts_with(first) || !id.chars().all(valid) {
                return Err(format!("no object id: {id}"));
            }
            let end = start + name.len() + id.len() + 1;
            let other = if name == "MAILBOXID (" { "UNSEEN 0" } else { "UID 1" };
            self.text.replace_range(start..end, other);
        }
        Ok(())
    }

    /// `APPENDLIMIT number` or `APPENDLIMIT NIL` becomes an item that every grammar has.
    fn take_append_limit(&mut self) -> Result<(), String> {
        let name = "APPENDLIMIT ";
        let Some(start) = self.text.find(name) else { return Ok(()) };
        let limit = self.text[start + name.len()..].split([' ', ')']).next().unwrap_or_default();
        if limit != "NIL" && !(is_number(limit) && limit.parse::<u32>().is_ok()) {
            return Err(format!("no limit: {limit}"));
        }
        let end = start + name.len() + limit.len();
        self.text.replace_range(start..end, "UNSEEN 0");
        Ok(())
    }

    /// The bytes again.
    fn wire(&self) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut strings = self.strings.iter();
        for c in self.text.chars() {
            match c {
                STRING => wire.extend(strings.next().expect("each has its place")),
                c => wire.push(c as u8),
            }
        }
        wire.extend_from_slice(b"\r\n");
        wire
    }
}

/// Whether a response ends in text for humans, where quotes mean nothing.
fn is_free_text(wire: &[u8]) -> bool {
    let mut words = wire.splitn(3, |byte| *byte == b' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let status = [&b"OK"[..], b"NO", b"BAD", b"BYE", b"PREAUTH"].contains(&second);
    first == b"+" || first != b"*" || status
}

/// The length of a quoted string, once it is whole.
fn quoted(wire: &[u8]) -> Result<Option<usize>, &'static str> {
    let mut at = 1;
    loop {
        match wire.get(at) {
            None => return Ok(None),
            Some(b'"') => return Ok(Some(at + 1)),
            Some(b'\\') => match wire.get(at + 1) {
                None => return Ok(None),
                Some(b'"' | b'\\') => at += 2,
                Some(_) => return Err("a backslash in a quoted string that quotes nothing"),
            },
            Some(0 | b'\r' | b'\n') => return Err("a quoted string over the line's end"),
            Some(_) => at += 1,
        }
    }
}

/// The length of a literal or literal8 with its header, once it is whole.
fn literal(wire: &[u8]) -> Result<Option<usize>, &'static str> {
    const WRONG: &str = "no literal";
    let binary = usize::from(wire[0] == b'~');
    let Some(end) = wire.iter().position(|byte| *byte == b'\n') else {
        return if wire.len() > 32 { Err(WRONG) } else { Ok(None) };
    };
    let header = &wire[binary..=end];
    let digits = header.strip_prefix(b"{").and_then(|header| header.strip_suffix(b"}\r\n"));
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()).ok_or(WRONG)?;
    if !is_number(digits) {
        return Err(WRONG);
    }
    let size: usize = digits.parse().map_err(|_| WRONG)?;
    let Some(text) = wire.get(end + 1..end + 1 + size) else { return Ok(None) };
    match text.contains(&0) {
        // RFC 3516 §4.3: literal8 says that there is a NUL.
        has_nul if has_nul != (binary == 1) => Err("NUL where none may be, or a literal8 without"),
        _ => Ok(Some(end + 1 + size)),
    }
}

fn is_number(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}

fn is_range(text: &str) -> bool {
    let number = |text: &str| is_number(text) && text != "0";
    match text.split_once(':') {
        Some((first, last)) => number(first) && number(last),
        None => number(text),
    }
}

/// `nz-number SP uid-set`
fn appended(rest: &str) -> Result<(), String> {
    match rest.split_once(' ') {
        Some((validity, uids))
            if is_number(validity) && validity != "0" && uids.split(',').all(is_range) =>
        {
            Ok(())
        }
        _ => Err("no APPENDUID".into()),
    }
}

/// A response code that some RFC has (RFC 5530 §3, RFC 6154 §3, RFC 8474 §4, RFC 7162 §7).
fn known_code(code: &Code<'_>) -> Result<(), String> {
    const CODES: [&[u8]; 18] = [
        b"ALREADYEXISTS",
        b"AUTHENTICATIONFAILED",
        b"AUTHORIZATIONFAILED",
        b"CANNOT",
        b"CLIENTBUG",
        b"CONTACTADMIN",
        b"CORRUPTION",
        b"EXPIRED",
        b"EXPUNGEISSUED",
        b"HASCHILDREN",
        b"INUSE",
        b"LIMIT",
        b"NONEXISTENT",
        b"NOPERM",
        b"PRIVACYREQUIRED",
        b"SERVERBUG",
        b"UNAVAILABLE",
        b"USEATTR",
    ];
    let Code::Other(other) = code else { return Ok(()) };
    let code = other.inner();
    if let Some(rest) = code.strip_prefix(b"APPENDUID ") {
        return appended(std::str::from_utf8(rest).unwrap_or_default());
    }
    // RFC 5267 §4.3.1
    let tag = code.strip_prefix(b"NOUPDATE \"").and_then(|tag| tag.strip_suffix(b"\""));
    if tag.is_some_and(|tag| !tag.is_empty() && !tag.contains(&b'"')) {
        return Ok(());
    }
    let id = code.strip_prefix(b"MAILBOXID (F").and_then(|id| id.strip_suffix(b")"));
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    match CODES.contains(&code) || id.is_some_and(|id| id.iter().all(valid)) {
        true => Ok(()),
        false => Err(format!("no RFC has the response code {}", code.escape_ascii())),
    }
}
