//! What a server says, taken apart.

/// One response, with its literals and its line end.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) bytes: Vec<u8>,
}

/// A part of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    /// An atom, a number, NIL, a flag.
    Atom(String),
    /// A string, quoted or not.
    Text(String),
    /// A list in parentheses.
    List(Vec<Value>),
}

impl Response {
    /// The outcome of the command with this tag, if this is its reply: its text either way.
    pub(super) fn reply_to(&self, tag: &str) -> Option<Result<String, String>> {
        let text = String::from_utf8_lossy(self.bytes.strip_prefix(tag.as_bytes())?);
        let (kind, text) = text.strip_prefix(' ')?.trim_end().split_once(' ')?;
        Some(if kind == "OK" { Ok(text.to_owned()) } else { Err(text.to_owned()) })
    }

    /// Its parts; `None` when it is not made of such.
    pub(super) fn values(&self) -> Option<Vec<Value>> {
        let mut rest = self.bytes.strip_suffix(b"\r\n")?;
        let values = list(&mut rest)?;
        rest.is_empty().then_some(values)
    }
}

impl Value {
    /// Whether it is this atom, in any case.
    pub(super) fn is(&self, atom: &str) -> bool {
        matches!(self, Self::Atom(is) if is.eq_ignore_ascii_case(atom))
    }

    /// What an atom or a string says.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Atom(text) | Self::Text(text) => Some(text),
            Self::List(_) => None,
        }
    }

    /// What a list holds.
    pub(super) fn list(&self) -> Option<&[Value]> {
        match self {
            Self::List(values) => Some(values),
            Self::Atom(_) | Self::Text(_) => None,
        }
    }

    /// What follows `name` in a list of names and values.
    pub(super) fn of<'a>(values: &'a [Value], name: &str) -> Option<&'a Value> {
        values.chunks(2).find_map(|pair| match pair {
            [known, value] if known.is(name) => Some(value),
            _ => None,
        })
    }
}

/// Values up to the end, or to the parenthesis that closes the list. Lists of a server's answers are nested some levels
/// deep at most: deeper ones are none.
fn list(rest: &mut &[u8]) -> Option<Vec<Value>> {
    let mut open: Vec<Vec<Value>> = vec![Vec::new()];
    while let Some((&first, after)) = rest.split_first() {
        let value = match first {
            b' ' => {
                *rest = after;
                continue;
            }
            b'(' if open.len() < 16 => {
                *rest = after;
                open.push(Vec::new());
                continue;
            }
            b')' => {
                *rest = after;
                let values = open.pop()?;
                if open.is_empty() {
                    return None;
                }
                Value::List(values)
            }
            b'"' => {
                *rest = after;
                Value::Text(quoted(rest)?)
            }
            b'{' => Value::Text(literal(rest)?),
            _ => Value::Atom(atom(rest)?),
        };
        open.last_mut()?.push(value);
    }
    let values = open.pop()?;
    open.is_empty().then_some(values)
}

fn quoted(rest: &mut &[u8]) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        match byte {
            b'"' => return String::from_utf8(text).ok(),
            b'\\' => {
                let (&byte, after) = rest.split_first()?;
                *rest = after;
                text.push(byte);
            }
            byte => text.push(byte),
        }
    }
}

fn literal(rest: &mut &[u8]) -> Option<String> {
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    let (head, after) = rest.split_at_checked(end + 1)?;
    let digits = head.strip_prefix(b"{")?.strip_suffix(b"}\r\n")?;
    let (text, after) =
        after.split_at_checked(str::from_utf8(digits).ok()?.parse::<usize>().ok()?)?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok()
}

/// Up to a space or parenthesis; in brackets those may stand in it.
fn atom(rest: &mut &[u8]) -> Option<String> {
    let mut depth = 0_u32;
    let end = rest.iter().position(|&byte| {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && matches!(byte, b' ' | b'(' | b')')
    });
    let (atom, after) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    *rest = after;
    (!atom.is_empty()).then(|| String::from_utf8(atom.to_vec()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &[u8]) -> Option<Vec<Value>> {
        Response { bytes: text.to_vec() }.values()
    }

    #[test]
    fn responses_are_taken_apart() {
        let atom = |text: &str| Value::Atom(text.into());
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(
            values(b"* LIST (\\HasNoChildren) \"/\" \"a \\\"b\\\\\" ()\r\n").unwrap(),
            [
                atom("*"),
                atom("LIST"),
                Value::List(vec![atom("\\HasNoChildren")]),
                text("/"),
                text("a \"b\\"),
                Value::List(vec![])
            ]
        );
        let fetch = values(b"* 1 FETCH (UID 5 FLAGS (\\Seen a) X {3}\r\n(\"})\r\n").unwrap();
        let fetch = fetch[3].list().unwrap();
        assert_eq!(Value::of(fetch, "uid"), Some(&atom("5")));
        assert_eq!(Value::of(fetch, "X"), Some(&text("(\"}")));
        assert_eq!(Value::of(fetch, "FLAGS").unwrap().list().unwrap().len(), 2);
        assert_eq!(values(b"* OK [PERMANENTFLAGS (a b)] x\r\n").unwrap().len(), 4);
        for odd in [&b"* (\r\n"[..], b"* )\r\n", b"* \"a\r\n", b"* {9}\r\nabc\r\n", b"*"] {
            assert_eq!(values(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_reply_is_its_tags() {
        let reply = |text: &str| Response { bytes: text.as_bytes().to_vec() }.reply_to("t1");
        assert_eq!(reply("t1 OK done\r\n"), Some(Ok("done".into())));
        assert_eq!(reply("t1 NO [X] why\r\n"), Some(Err("[X] why".into())));
        assert_eq!(reply("t10 OK done\r\n"), None);
        assert_eq!(reply("* OK done\r\n"), None);
    }
}
