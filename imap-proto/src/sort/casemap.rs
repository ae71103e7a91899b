//! The collation i;unicode-casemap (RFC 5051): texts are equal, and in order, as their keys are byte by byte.

use unicode_normalization::char::decompose_compatible;

/// Stands in front of the key of a text that is no UTF-8. No UTF-8 begins so, and it is above all that does: such texts
/// come last, in the order of their bytes (RFC 5255 §4.6).
const INVALID: u8 = 0xff;

/// Appends the key of a text: each character as its titlecase, then decomposed as far as that goes (RFC 5051 §2).
pub(crate) fn casemap(text: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    if text.is_ascii() {
        out.extend_from_slice(text);
        return out.get_mut(start..).unwrap_or_default().make_ascii_uppercase();
    }
    let Ok(text) = std::str::from_utf8(text) else {
        out.push(INVALID);
        return out.extend_from_slice(text);
    };
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character.to_ascii_uppercase() as u8);
            continue;
        }
        decompose_compatible(titlecase(character), |part| {
            out.extend_from_slice(part.encode_utf8(&mut [0; 4]).as_bytes());
        });
    }
}

/// The simple titlecase mapping of `UnicodeData.txt`: the simple uppercase mapping, but for digraphs, which have a form
/// of their own, and Georgian, which has none.
fn titlecase(character: char) -> char {
    match character {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => character,
        // Their uppercase is two characters, their titlecase one (an iota below the letter).
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
            char::from_u32(u32::from(character) + 8).unwrap_or(character)
        }
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => {
            char::from_u32(u32::from(character) + 9).unwrap_or(character)
        }
        _ => {
            let mut upper = character.to_uppercase();
            upper.next().filter(|_| upper.next().is_none()).unwrap_or(character)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> String {
        let mut out = Vec::new();
        casemap(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rfc5051_2_titlecase_then_decomposition() {
        assert_eq!(key("hello, World 1"), "HELLO, WORLD 1");
        assert_eq!(key("Größe"), "GRO\u{308}ßE");
        assert_eq!(key("gro\u{308}ßE"), key("GRÖßE"));
        assert_eq!(key("отпуск"), "ОТПУСК");
        assert_eq!(key("ﬁn Å ① ｱ"), "fiN A\u{30a} 1 ア");
        assert_eq!(key("ς σ"), "Σ Σ");
        assert_eq!(key("한"), "\u{1112}\u{1161}\u{11ab}");
    }

    #[test]
    fn titlecase_is_not_always_uppercase() {
        let pairs = [
            ('ǆ', 'ǅ'),
            ('Ǉ', 'ǈ'),
            ('ǋ', 'ǋ'),
            ('ǳ', 'ǲ'),
            ('ა', 'ა'),
            ('ჿ', 'ჿ'),
            ('\u{1f80}', '\u{1f88}'),
            ('\u{1fb3}', '\u{1fbc}'),
            ('\u{1ff3}', '\u{1ffc}'),
            ('ß', 'ß'),
            ('ŉ', 'ŉ'),
            ('ı', 'I'),
            ('ÿ', 'Ÿ'),
            ('µ', 'Μ'),
        ];
        for (character, title) in pairs {
            assert_eq!(titlecase(character), title, "{character}");
        }
    }

    #[test]
    fn rfc5255_4_6_what_is_no_utf8_comes_last_in_the_order_of_its_bytes() {
        let mut texts: Vec<&[u8]> =
            vec![b"\xd0\xc0", b"\xd0\x92\xff", "сЕРГЕЙ".as_bytes(), "алексей".as_bytes(), b"z"];
        texts.sort_by_key(|text| {
            let mut out = Vec::new();
            casemap(text, &mut out);
            out
        });
        let sorted: Vec<&[u8]> =
            vec![b"z", "алексей".as_bytes(), "сЕРГЕЙ".as_bytes(), b"\xd0\x92\xff", b"\xd0\xc0"];
        assert_eq!(texts, sorted);
    }
}
