//! Values of an IMAP answer (RFC 9051 §4).

use std::fmt;

/// One value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// `NIL`
    Nil,
    /// An atom or number; a section's brackets belong to it.
    Atom(Vec<u8>),
    /// A quoted string or literal.
    String(Vec<u8>),
    /// What stands in parentheses.
    List(Vec<Value>),
}

impl Value {
    /// The bytes of a string.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::String(bytes) => Some(bytes),
            Value::Nil | Value::Atom(_) | Value::List(_) => None,
        }
    }

    /// The values of a list.
    pub fn list(&self) -> Option<&[Value]> {
        match self {
            Value::List(values) => Some(values),
            Value::Nil | Value::Atom(_) | Value::String(_) => None,
        }
    }

    /// The number an atom is.
    pub fn number(&self) -> Option<u64> {
        match self {
            Value::Atom(atom) => std::str::from_utf8(atom).ok()?.parse().ok(),
            Value::Nil | Value::String(_) | Value::List(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("NIL"),
            Value::Atom(atom) => write!(f, "{}", atom.escape_ascii()),
            Value::String(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Value::List(values) => {
                f.write_str("(")?;
                for (n, value) in values.iter().enumerate() {
                    f.write_str(if n > 0 { " " } else { "" })?;
                    value.fmt(f)?;
                }
                f.write_str(")")
            }
        }
    }
}

/// Reads all values of a response line, its literals included; `None` when it breaks the grammar.
pub fn parse(line: &[u8]) -> Option<Vec<Value>> {
    let mut open = vec![Vec::new()];
    let mut rest = line;
    loop {
        match *rest {
            [] => break,
            [b' ' | b'\r' | b'\n', ref after @ ..] => rest = after,
            [b'(', ref after @ ..] => {
                open.push(Vec::new());
                rest = after;
            }
            [b')', ref after @ ..] => {
                let list = open.pop()?;
                open.last_mut()?.push(Value::List(list));
                rest = after;
            }
            [b'"', ref after @ ..] => {
                let (text, after) = quoted(after)?;
                open.last_mut()?.push(Value::String(text));
                rest = after;
            }
            [b'~', b'{', ref after @ ..] | [b'{', ref after @ ..] => {
                let (text, after) = literal(after)?;
                open.last_mut()?.push(Value::String(text.to_vec()));
                rest = after;
            }
            _ => {
                let (atom, after) = rest.split_at(atom_len(rest));
                let nil = atom.eq_ignore_ascii_case(b"NIL");
                let value = if nil { Value::Nil } else { Value::Atom(atom.to_vec()) };
                open.last_mut()?.push(value);
                rest = after;
            }
        }
    }
    (open.len() == 1).then(|| open.pop())?
}

fn quoted(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut text = Vec::new();
    loop {
        match rest {
            [b'"', after @ ..] => return Some((text, after)),
            [b'\\', byte @ (b'"' | b'\\'), after @ ..] | [byte, after @ ..] => {
                text.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

fn literal(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let close = rest.iter().position(|&byte| byte == b'}')?;
    let len = std::str::from_utf8(rest.get(..close)?).ok()?.parse().ok()?;
    rest.get(close..)?.strip_prefix(b"}\r\n")?.split_at_checked(len)
}

fn atom_len(rest: &[u8]) -> usize {
    let mut brackets = 0;
    let end = rest.iter().position(|&byte| {
        match byte {
            b'[' => brackets += 1,
            b']' => brackets -= 1,
            _ => {}
        }
        brackets <= 0 && matches!(byte, b' ' | b'(' | b')' | b'\r' | b'\n')
    });
    end.unwrap_or(rest.len()).max(1)
}
