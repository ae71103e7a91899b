//! The base subject (RFC 5256 §2.1 and §5): what is left of a subject without "Re:", "Fwd:", "(fwd)" and `[list]`.

use crate::mime::decode::decode_words;

/// What a subject comes to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Base {
    /// Something was taken away that says reply or forward (RFC 5256 §3, THREAD=REFERENCES).
    pub(crate) is_reply: bool,
}

/// Replaces `out` by the base subject of an unfolded Subject field.
///
/// A few passes, whatever the subject is: none of its parts is looked at more than a fixed number of times.
pub(crate) fn base_subject(subject: &[u8], out: &mut Vec<u8>) -> Base {
    out.clear();
    decode_words(subject, out);
    one_space(out);
    let mut base = Base::default();
    let mut text = out.as_slice();
    loop {
        text = without_trailers(text, &mut base);
        text = without_leaders(text, &mut base);
        // Step 6: subj-fwd-hdr and subj-fwd-trl go together.
        match strip_word(text, b"[fwd:").and_then(|rest| rest.strip_suffix(b"]")) {
            Some(inner) => text = inner,
            None => break,
        }
        base.is_reply = true;
    }
    let start = text.as_ptr().addr() - out.as_ptr().addr();
    let end = start + text.len();
    out.truncate(end);
    out.drain(..start);
    base
}

/// Step 1: tabs and continuations become spaces, several of them one.
fn one_space(text: &mut Vec<u8>) {
    for byte in text.iter_mut().filter(|byte| matches!(byte, b'\t' | b'\r' | b'\n')) {
        *byte = b' ';
    }
    text.dedup_by(|next, kept| *next == b' ' && *kept == b' ');
}

/// Step 2: `subj-trailer = "(fwd)" / WSP`, as often as it is there.
fn without_trailers<'a>(mut text: &'a [u8], base: &mut Base) -> &'a [u8] {
    loop {
        match text {
            [rest @ .., b' '] => text = rest,
            _ => match text.len().checked_sub(5).map(|at| text.split_at(at)) {
                Some((rest, trailer)) if trailer.eq_ignore_ascii_case(b"(fwd)") => {
                    base.is_reply = true;
                    text = rest;
                }
                Some(_) | None => return text,
            },
        }
    }
}

/// Steps 3 to 5: `subj-leader = (*subj-blob subj-refwd) / WSP`, then a blob that something follows, until neither is
/// left.
fn without_leaders<'a>(mut text: &'a [u8], base: &mut Base) -> &'a [u8] {
    loop {
        text = without_spaces(text);
        // All blobs at once: "Re:" can only stand behind the last of them, and without it they go one by one.
        let (mut rest, mut last) = (text, text);
        while let Some(after) = blob(rest) {
            (last, rest) = (rest, after);
        }
        if let Some(after) = refwd(rest) {
            base.is_reply = true;
            text = after;
        } else {
            // Step 4: a blob stays when nothing would be left without it.
            return if rest.is_empty() { last } else { rest };
        }
    }
}

/// `subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`; what follows it.
fn refwd(text: &[u8]) -> Option<&[u8]> {
    let rest = match strip_word(text, b"re") {
        Some(rest) => rest,
        None => {
            let rest = strip_word(text, b"fw")?;
            strip_word(rest, b"d").unwrap_or(rest)
        }
    };
    let rest = without_spaces(rest);
    blob(rest).unwrap_or(rest).strip_prefix(b":")
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`; what follows it.
fn blob(text: &[u8]) -> Option<&[u8]> {
    let inside = text.strip_prefix(b"[")?;
    let end = memchr::memchr2(b'[', b']', inside)?;
    Some(without_spaces(inside.get(end..)?.strip_prefix(b"]")?))
}

/// `text` without WSP at its beginning; all that is left of WSP are spaces.
fn without_spaces(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = text {
        text = rest;
    }
    text
}

/// `text` without this word at its beginning, in any case.
fn strip_word<'a>(text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base(subject: &str) -> (String, bool) {
        let mut out = Vec::new();
        let base = base_subject(subject.as_bytes(), &mut out);
        (String::from_utf8(out).unwrap(), base.is_reply)
    }

    #[test]
    fn rfc5256_2_1_base_subjects() {
        for (subject, wanted, is_reply) in [
            ("", "", false),
            ("  ", "", false),
            ("Hello", "Hello", false),
            ("Re: Hello", "Hello", true),
            ("re: RE:Fw:fWd: Hello", "Hello", true),
            ("re[2]: Hello", "Hello", true),
            ("Re [2] : Hello", "Hello", true),
            ("Re [2]\t: Hello", "Hello", true),
            ("Re : Hello", "Hello", true),
            ("Rex: Hello", "Rex: Hello", false),
            ("Fwdx: Hello", "Fwdx: Hello", false),
            ("Re Hello", "Re Hello", false),
            ("Re:", "", true),
            ("Hello (fwd)", "Hello", true),
            ("Hello (FWD)(fwd) (fwd)", "Hello", true),
            ("(fwd)", "", true),
            ("Hello (fwd) x", "Hello (fwd) x", false),
            ("[list] Hello", "Hello", false),
            ("[list] Re: Hello", "Hello", true),
            ("Re: [list] Hello", "Hello", true),
            ("[a][b] [c] Hello", "Hello", false),
            ("[a] Re: [b] Fw: [c] Hello", "Hello", true),
            ("[list]", "[list]", false),
            ("[a] [b]", "[b]", false),
            ("[a]  ", "[a]", false),
            ("Re: [a]", "[a]", true),
            ("[a] Re:", "", true),
            ("[a [b] Hello", "[a [b] Hello", false),
            ("[fwd: Hello]", "Hello", true),
            ("[FWD:Hello]", "Hello", true),
            ("[fwd: Re: [list] Hello (fwd)]", "Hello", true),
            ("[fwd: [fwd: Hello]]", "Hello", true),
            ("[fwd: Hello] (fwd)", "Hello", true),
            ("[fwd: Hello", "[fwd: Hello", false),
            ("[fwd: Hello] x", "x", false),
            ("Re: Re Hello", "Re Hello", true),
            ("a   b\tc\r\n d", "a b c d", false),
            ("=?utf-8?q?Re=3A_Gr=C3=BC=C3=9Fe?=", "Grüße", true),
            ("=?utf-8?q?Re=3A?= =?utf-8?q?_[a]_=09_x?=", "x", true),
            ("AW: Hello", "AW: Hello", false),
        ] {
            assert_eq!(base(subject), (wanted.to_owned(), is_reply), "{subject:?}");
        }
    }

    #[test]
    fn long_subjects_take_no_longer_for_each_byte() {
        for unit in [
            "[a]", "[", "]", "re", "re[a]", "re:", "[fwd:", "(fwd)", "(fwd", "[a] re", " [", "fw[a",
        ] {
            for end in ["", "x", "]", ":", "[x", "]]]]]]]]", "(fwd)"] {
                let subject = unit.repeat(100_000) + end;
                let mut out = Vec::new();
                base_subject(subject.as_bytes(), &mut out);
            }
        }
        let nested = "[fwd:".repeat(100_000) + "x" + &"]".repeat(100_000);
        assert_eq!(base(&nested), ("x".to_owned(), true));
    }

    /// The procedure step by step, as RFC 5256 §2.1 has it.
    fn literally(subject: &str) -> (String, bool) {
        let mut text: String = subject.replace('\t', " ");
        while text.contains("  ") {
            text = text.replace("  ", " ");
        }
        let mut is_reply = false;
        loop {
            // 2
            loop {
                if let Some(rest) = text.strip_suffix(' ') {
                    text = rest.to_owned();
                } else if text.to_ascii_lowercase().ends_with("(fwd)") {
                    is_reply = true;
                    text.truncate(text.len() - 5);
                } else {
                    break;
                }
            }
            loop {
                let before = text.clone();
                // 3
                if let Some(rest) = text.strip_prefix(' ') {
                    text = rest.to_owned();
                } else if let Some(rest) = leader(&text) {
                    is_reply = true;
                    text = rest;
                }
                // 4
                if let Some(rest) = a_blob(&text)
                    && !rest.trim().is_empty()
                    && leader(&text).is_none()
                {
                    text = rest;
                }
                if text == before {
                    break;
                }
            }
            // 6
            if text.to_ascii_lowercase().starts_with("[fwd:") && text.ends_with(']') {
                is_reply = true;
                text = text[5..text.len() - 1].to_owned();
            } else {
                return (text, is_reply);
            }
        }
    }

    fn a_blob(text: &str) -> Option<String> {
        let inside = text.strip_prefix('[')?;
        let (word, rest) = inside.split_once(']')?;
        (!word.contains('[')).then(|| rest.trim_start_matches(' ').to_owned())
    }

    fn leader(text: &str) -> Option<String> {
        if let Some(rest) = a_blob(text) {
            return leader(&rest);
        }
        let lower = text.to_ascii_lowercase();
        let word = ["re", "fwd", "fw"].iter().find(|word| lower.starts_with(**word))?;
        let rest = text[word.len()..].trim_start_matches(' ');
        let rest = a_blob(rest).unwrap_or_else(|| rest.to_owned());
        rest.strip_prefix(':').map(str::to_owned)
    }

    proptest! {
        #[test]
        fn is_what_the_procedure_says(
            words in prop::collection::vec(
                prop::sample::select(vec![
                    "re", "Re:", "fw", "fwd:", "[a]", "[", "]", ":", " ", "\t", "x", "(fwd)", "[fwd:", "d", "[b] ",
                ]),
                0..12,
            ),
        ) {
            let subject = words.concat();
            prop_assert_eq!(base(&subject), literally(&subject));
        }
    }
}
