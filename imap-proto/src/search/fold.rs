//! Case removed: what a search compares is the same for both sides.

use encoding_rs::Encoding;

use crate::mime::charset::windows_1252;

/// Removes case from UTF-8 that comes in pieces. A byte that is no UTF-8 counts as windows-1252.
///
/// Characters are folded one to one, by their upper case and then its lower case, so that `ς` is `σ` (Unicode's simple
/// folding); those that become several, like `ß` to `SS`, stay. RFC 9051 §6.4.4 asks for ASCII alone.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// The beginning of a character that the next piece goes on with: three bytes at most.
    begun: Vec<u8>,
}

impl Fold {
    /// All of a text at once, appended to `out`.
    pub(super) fn whole(text: &[u8], out: &mut Vec<u8>) {
        let mut fold = Fold::default();
        fold.feed(text, out);
        fold.finish(out);
    }

    pub(super) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let joined;
        let mut rest = input;
        if !self.begun.is_empty() {
            // One more piece finishes or refutes what is begun.
            joined = [self.begun.as_slice(), input].concat();
            self.begun.clear();
            rest = &joined;
        }
        loop {
            let (plain, from) = rest.split_at(Encoding::ascii_valid_up_to(rest));
            let start = out.len();
            out.extend_from_slice(plain);
            out.get_mut(start..).unwrap_or_default().make_ascii_lowercase();
            let Some((&first, after)) = from.split_first() else { return };
            let len = match first {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            let Some((bytes, behind)) = from.split_at_checked(len) else {
                if from.iter().skip(1).all(|byte| byte & 0xc0 == 0x80) {
                    self.begun.extend_from_slice(from);
                    return;
                }
                push_folded(windows_1252(first), out);
                rest = after;
                continue;
            };
            match std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next()) {
                Some(character) => {
                    push_folded(character, out);
                    rest = behind;
                }
                None => {
                    push_folded(windows_1252(first), out);
                    rest = after;
                }
            }
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.begun.drain(..).for_each(|byte| push_folded(windows_1252(byte), out));
    }
}

fn push_folded(character: char, out: &mut Vec<u8>) {
    let folded = match character {
        // Nothing between these has case, and most of the world's non-Latin mail is there.
        '\u{2e80}'..='\u{a63f}' | '\u{ac00}'..='\u{d7ff}' => character,
        _ => {
            let upper = single(character.to_uppercase()).unwrap_or(character);
            single(upper.to_lowercase()).unwrap_or(upper)
        }
    };
    out.extend_from_slice(folded.encode_utf8(&mut [0; 4]).as_bytes());
}

fn single(mut characters: impl Iterator<Item = char>) -> Option<char> {
    characters.next().filter(|_| characters.next().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &[u8]) -> String {
        let mut out = Vec::new();
        Fold::whole(text, &mut out);
        String::from_utf8(out).expect("folded text is UTF-8")
    }

    #[test]
    fn case_goes() {
        assert_eq!(folded("ÄÖÜ Straße".as_bytes()), "äöü straße");
        assert_eq!(folded("ΟΔΟΣ οδος οδός".as_bytes()), "οδοσ οδοσ οδόσ");
        assert_eq!(folded("ОТПУСК ẞ İ 漢字 한글".as_bytes()), "отпуск ß İ 漢字 한글");
    }

    #[test]
    fn what_is_no_utf8_is_windows_1252() {
        assert_eq!(folded(b"Gr\xdc\xdfe \x80"), "grüße €");
        assert_eq!(folded(b"\xe2\x82"), "â‚");
        assert_eq!(folded("é".as_bytes()), "é");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text: Vec<u8>, cut: usize, word in "\\PC{0,8}") {
            let text = [text.as_slice(), word.as_bytes()].concat();
            let (left, right) = text.split_at(cut % (text.len() + 1));
            let (mut fold, mut out) = (Fold::default(), Vec::new());
            fold.feed(left, &mut out);
            fold.feed(right, &mut out);
            fold.finish(&mut out);
            prop_assert_eq!(String::from_utf8(out).expect("folded text is UTF-8"), folded(&text));
        }

        #[test]
        fn folding_again_changes_nothing(text in "\\PC{0,20}") {
            let once = folded(text.as_bytes());
            prop_assert_eq!(folded(once.as_bytes()), once);
        }
    }
}
