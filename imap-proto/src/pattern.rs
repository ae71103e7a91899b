//! LIST patterns (RFC 3501 §6.3.8): `*` matches anything, `%` anything but the separator.

/// A pattern in UTF-8 with its runs of wildcards collapsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pattern(Box<str>);

impl Pattern {
    /// Collapses runs: `*` next to any wildcard swallows it, `%%` is `%`.
    pub(crate) fn new(pattern: &str) -> Self {
        let mut out = String::with_capacity(pattern.len());
        for c in pattern.chars() {
            match (c, out.chars().next_back()) {
                ('%', Some('*' | '%')) | ('*', Some('*')) => {}
                ('*', Some('%')) => {
                    out.pop();
                    if !out.ends_with('*') {
                        out.push('*');
                    }
                }
                _ => out.push(c),
            }
        }
        Self(inbox(&out).into())
    }

    /// Whether a name can match whose children don't.
    pub(crate) fn has_percent(&self) -> bool {
        self.0.contains('%')
    }

    /// Whether `name` matches; at most pattern × name steps and no recursion, whatever the pattern.
    ///
    /// The set of pattern places that the name read so far can lead to is kept as bits and moved over each byte.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let pattern = self.0.as_bytes();
        let Some(first) = memchr::memchr2(b'*', b'%', pattern) else {
            return *pattern == *name.as_bytes();
        };
        let (head, pattern) = pattern.split_at(first);
        let Some(name) = name.as_bytes().strip_prefix(head) else { return false };
        if matches!(pattern, b"*") {
            return true;
        }
        // One `true` per place in the pattern, its end included.
        let mut now = vec![false; pattern.len() + 1];
        let mut next = vec![false; pattern.len() + 1];
        if let Some(start) = now.first_mut() {
            *start = true;
        }
        spread(&mut now, pattern);
        for &byte in name {
            next.fill(false);
            let mut alive = false;
            for ((here, &want), at) in now.iter().zip(pattern).zip(0usize..) {
                if !here {
                    continue;
                }
                // A wildcard takes the byte and stays; a plain byte is passed.
                let to = match want {
                    b'*' => at,
                    b'%' if byte != b'/' => at,
                    b'%' => continue,
                    plain if plain == byte => at + 1,
                    _ => continue,
                };
                if let Some(to) = next.get_mut(to) {
                    *to = true;
                    alive = true;
                }
            }
            if !alive {
                return false;
            }
            spread(&mut next, pattern);
            std::mem::swap(&mut now, &mut next);
        }
        now.last().copied().unwrap_or(false)
    }
}

/// A wildcard may match nothing, so its place reaches the next one.
fn spread(places: &mut [bool], pattern: &[u8]) {
    let mut carry = false;
    for (place, want) in places.iter_mut().zip(pattern.iter().map(Some).chain([None])) {
        *place |= carry;
        carry = *place && matches!(want, Some(b'*' | b'%'));
    }
}

/// INBOX is the one name whose case doesn't matter (RFC 3501 §5.1).
fn inbox(pattern: &str) -> String {
    match pattern.split_at_checked(5) {
        Some((head, rest))
            if head.eq_ignore_ascii_case("inbox")
                && (rest.is_empty() || rest.starts_with(['/', '*', '%'])) =>
        {
            format!("INBOX{rest}")
        }
        Some(_) | None => pattern.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, word for word.
    fn simple(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) if simple(rest, name) => true,
            (Some((b'*', _)), Some((_, name))) => simple(pattern, name),
            (Some((b'%', rest)), _) if simple(rest, name) => true,
            (Some((b'%', _)), Some((byte, name))) => *byte != b'/' && simple(pattern, name),
            (Some((a, rest)), Some((b, name))) => a == b && simple(rest, name),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    proptest::proptest! {
        #[test]
        fn is_what_the_definition_says(pattern in "[ab/%*]{0,8}", name in "[ab/]{0,10}") {
            assert_eq!(Pattern::new(&pattern).matches(&name), simple(pattern.as_bytes(), name.as_bytes()));
        }
    }

    #[test]
    fn inbox_has_no_case() {
        assert!(Pattern::new("inbox").matches("INBOX"));
        assert!(Pattern::new("InBox/%").matches("INBOX/a"));
        assert!(!Pattern::new("inboxes").matches("INBOXes"));
    }

    #[test]
    fn row_44_stars_without_end() {
        let pattern = Pattern::new(&"*%".repeat(512));
        assert_eq!(pattern, Pattern::new("*"));
        // 511 stars that can't collapse, against the longest name: a million steps, not 2^511.
        let hard = Pattern::new(&format!("{}b", "*a".repeat(511)));
        assert!(!hard.matches(&"a".repeat(1000)));
        assert!(hard.matches(&format!("{}b", "a".repeat(999))));
    }
}
