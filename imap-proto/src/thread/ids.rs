//! Message IDs (RFC 5322 §3.6.4) in the one form in which they are compared (RFC 5256 §3, THREAD=REFERENCES).

/// Stands between the two sides of an ID: nothing else tells `"a@b"@c` from `a@"b@c"`.
const BETWEEN: u8 = 0;

/// The IDs of a field's value, each without quotes, escapes and white space. What is no ID is passed over: RFC 5256 says
/// so for In-Reply-To, and the rest of a References field is of use without it.
#[derive(Clone, Debug)]
pub(super) struct Ids<'a> {
    rest: &'a [u8],
}

impl<'a> Ids<'a> {
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    /// Replaces `id` by the next; `false` when there is none.
    pub(super) fn next(&mut self, id: &mut Vec<u8>) -> bool {
        while let Some(start) = memchr::memchr(b'<', self.rest) {
            self.rest = self.rest.get(start + 1..).unwrap_or_default();
            id.clear();
            if self.read(id).is_some() {
                return true;
            }
        }
        false
    }

    /// Reads `id-left "@" id-right ">"`. Stops in front of another `<`, where the next may begin.
    fn read(&mut self, id: &mut Vec<u8>) -> Option<()> {
        let mut at = None;
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            if byte == b'<' {
                return None;
            }
            self.rest = rest;
            match byte {
                b'"' if at.is_none() => self.quoted(id)?,
                b'@' if at.is_none() && !id.is_empty() => {
                    id.push(BETWEEN);
                    at = Some(id.len());
                }
                b'>' => return at.filter(|at| *at < id.len()).map(|_| ()),
                b' ' | b'\t' | b'\r' | b'\n' => {}
                byte => id.push(byte),
            }
        }
    }

    /// Reads a quoted string behind its first quote.
    fn quoted(&mut self, id: &mut Vec<u8>) -> Option<()> {
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'"' => return Some(()),
                b'\\' => {
                    let (&escaped, rest) = self.rest.split_first()?;
                    self.rest = rest;
                    id.push(escaped);
                }
                b'\r' | b'\n' => {}
                byte => id.push(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(value: &str) -> Vec<String> {
        let (mut ids, mut id, mut all) = (Ids::new(value.as_bytes()), Vec::new(), Vec::new());
        while ids.next(&mut id) {
            all.push(String::from_utf8_lossy(&id).replace('\0', "|"));
        }
        all
    }

    #[test]
    fn rfc5256_3_one_id_however_it_is_quoted() {
        assert_eq!(
            ids("<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>"),
            ids("<01KF8JCEOCBS0045PS@xxx.yyy.com>")
        );
        assert_eq!(ids("<\"a\\\"b\\c\"@d>"), ["a\"bc|d"]);
        assert_eq!(ids("<\"a@b\"@c>"), ["a@b|c"]);
        assert_ne!(ids("<\"a@b\"@c>"), ids("<a@b@c>"));
        assert_ne!(ids("<a@b>"), ids("<A@b>"));
    }

    #[test]
    fn ids_among_other_text() {
        assert_eq!(ids(" <a@b>\r\n\t<c@d> <e@\r\n f>"), ["a|b", "c|d", "e|f"]);
        assert_eq!(ids("<a@b><c@d>,<e@[1.2.3.4]>"), ["a|b", "c|d", "e|[1.2.3.4]"]);
        assert_eq!(ids("Your message of \"today\" <a@b> from x@y"), ["a|b"]);
        assert_eq!(ids("<<a@b>>"), ["a|b"]);
        assert_eq!(ids("<a <b@c>"), ["b|c"]);
        for none in ["", "a@b", "<>", "<a>", "<@b>", "<a@>", "<a@b", "<a", "<\"a@b>", "<\"a\\"] {
            assert!(ids(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn long_values_are_read_once() {
        for unit in ["<", "<a", "<a@", "<\"", "<\"\\", "<a@b>", ">", "\""] {
            ids(&unit.repeat(200_000));
        }
    }
}
