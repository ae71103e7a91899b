//! Character sets turned into UTF-8, by the tables of the WHATWG Encoding Standard: the sets and names that mail has.

use std::fmt;

use encoding_rs::{Encoding, UTF_8};

/// A character set that can be turned into UTF-8. The default is for text that names none or one that isn't known, and
/// for UTF-8 and US-ASCII: bytes stand for themselves, and whoever reads them takes a byte that is no UTF-8 for
/// windows-1252, which is what unlabelled 8-bit mail is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Charset(Option<&'static Encoding>);

/// The standard takes these for windows-1252. Where mail says so and has 8 bits nevertheless, it is rather UTF-8.
const ASCII: [&[u8]; 6] =
    [b"us-ascii", b"ascii", b"ansi_x3.4-1968", b"iso646-us", b"iso_646.irv:1991", b"us"];

/// Names that mail programs write and the standard doesn't have.
const MORE: [(&[u8], &str); 5] = [
    (b"cp932", "shift_jis"),
    (b"cp936", "gbk"),
    (b"cp949", "euc-kr"),
    (b"cp950", "big5"),
    (b"iso-2022-jp-ms", "iso-2022-jp"),
];

impl Charset {
    /// The character set of this name, in any case; the default when it isn't known.
    #[must_use]
    pub fn of(name: &[u8]) -> Charset {
        Charset::known(name).unwrap_or_default()
    }

    /// The character set of this name, in any case, if it is known.
    #[must_use]
    pub fn known(name: &[u8]) -> Option<Charset> {
        let is = |known: &[u8]| known.eq_ignore_ascii_case(name);
        if ASCII.into_iter().any(is) {
            return Some(Charset::default());
        }
        let standard = MORE.iter().find(|(known, _)| is(known)).map(|(_, name)| name.as_bytes());
        // Without those that the standard only knows as dangerous, which decode to nothing.
        let encoding = Encoding::for_label_no_replacement(standard.unwrap_or(name))?;
        Some(Charset((encoding != UTF_8).then_some(encoding)))
    }

    /// One name of each set that is known, for who asked for another (RFC 3501 §7.1, BADCHARSET).
    pub const NAMES: &'static str = "US-ASCII UTF-8 ISO-8859-1 ISO-8859-2 ISO-8859-3 ISO-8859-4 ISO-8859-5 ISO-8859-6 \
        ISO-8859-7 ISO-8859-8 ISO-8859-9 ISO-8859-10 ISO-8859-13 ISO-8859-14 ISO-8859-15 ISO-8859-16 windows-874 \
        windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 \
        windows-1258 KOI8-R KOI8-U IBM866 macintosh x-mac-cyrillic GBK GB18030 Big5 EUC-JP ISO-2022-JP Shift_JIS EUC-KR \
        UTF-16BE UTF-16LE";

    /// Appends `bytes` of this set as UTF-8; what is malformed becomes U+FFFD.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self.0 {
            None => out.extend_from_slice(bytes),
            Some(encoding) if has_mark(encoding) => {
                out.extend_from_slice(encoding.decode(bytes).0.as_bytes());
            }
            Some(encoding) => {
                out.extend_from_slice(encoding.decode_without_bom_handling(bytes).0.as_bytes());
            }
        }
    }

    /// `bytes` of this set as UTF-8, if there is nothing malformed in them.
    #[must_use]
    pub fn decode_exactly(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let encoding = self.0.unwrap_or(UTF_8);
        let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
        Some(text.into_owned().into_bytes())
    }

    /// Whether two texts of this set one behind the other are one text: not where each begins anew, with a shift or a
    /// byte order mark.
    pub(crate) fn joins(self) -> bool {
        self.0.is_none_or(Encoding::is_ascii_compatible)
    }

    /// Begins a text of this set that comes in pieces; `None` when its bytes stand for themselves.
    pub(crate) fn decoder(self) -> Option<Decoder> {
        self.0.map(|encoding| {
            let decoder = match has_mark(encoding) {
                true => encoding.new_decoder(),
                false => encoding.new_decoder_without_bom_handling(),
            };
            Decoder(Box::new(decoder))
        })
    }
}

/// RFC 2781 §4.3: a mark in front says how UTF-16 lies. In any other set the same bytes are letters.
fn has_mark(encoding: &'static Encoding) -> bool {
    encoding.output_encoding() == UTF_8
}

/// Text on its way to UTF-8, piece by piece.
pub(crate) struct Decoder(Box<encoding_rs::Decoder>);

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Decoder").field(&self.0.encoding().name()).finish()
    }
}

impl Decoder {
    /// Replaces what is in `out` by what the next piece decodes to; `last` says that no other follows.
    pub(crate) fn feed(&mut self, input: &[u8], last: bool, out: &mut String) {
        out.clear();
        let most = self.0.max_utf8_buffer_length(input.len()).unwrap_or(0);
        out.reserve(most);
        // With that much room it takes all.
        let _ = self.0.decode_to_string(input, out, last);
    }
}

/// The character of a byte in windows-1252; the five that it lacks are the controls of ISO-8859-1.
pub(crate) fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH.get(usize::from(byte - 0x80)).copied().unwrap_or('\u{fffd}'),
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_means_another_set() {
        let mut sets = Vec::new();
        for name in Charset::NAMES.split(' ') {
            let set = Charset::known(name.as_bytes()).unwrap_or_else(|| panic!("{name}"));
            sets.push(set);
        }
        sets.dedup();
        // US-ASCII and UTF-8 are one here, and so are ISO-8859-1 and windows-1252, ISO-8859-9 and windows-1254.
        assert_eq!(sets.len(), Charset::NAMES.split(' ').count() - 1);
    }

    #[test]
    fn names_come_in_any_case_and_as_aliases() {
        let of = |name: &str| Charset::known(name.as_bytes());
        assert_eq!(of("LATIN1"), of("windows-1252"));
        assert_eq!(of("CP932"), of("Shift_JIS"));
        assert_eq!(of("utf8"), Some(Charset::default()));
        assert_eq!(of("Us-Ascii"), Some(Charset::default()));
        assert_eq!(of("x-unknown"), None);
        assert_eq!(of("iso-2022-kr"), None); // known only to be refused
        assert_eq!(Charset::of(b"x-unknown"), Charset::default());
    }

    #[test]
    fn text_is_decoded_exactly_or_kindly() {
        let koi8 = Charset::of(b"koi8-r");
        let mut out = Vec::new();
        koi8.decode(b"\xcd\xc1\xd4\xd8", &mut out);
        assert_eq!(out, "мать".as_bytes());
        assert_eq!(koi8.decode_exactly(b"\xcd\xc1"), Some("ма".into()));
        assert_eq!(Charset::of(b"utf-8").decode_exactly(b"\xff"), None);
        assert_eq!(Charset::of(b"shift_jis").decode_exactly(b"\x81"), None);
        out.clear();
        Charset::of(b"shift_jis").decode(b"a\x81", &mut out);
        assert_eq!(out, "a\u{fffd}".as_bytes());
    }

    #[test]
    fn only_utf_16_begins_with_a_mark() {
        let decoded = |name: &str, bytes: &[u8]| {
            let mut out = String::new();
            Charset::of(name.as_bytes())
                .decoder()
                .expect("it isn't UTF-8")
                .feed(bytes, true, &mut out);
            out
        };
        assert_eq!(decoded("iso-8859-1", b"\xff\xfex\x80"), "ÿþx€");
        assert_eq!(decoded("koi8-r", b"\xef\xbb\xbf\xcd"), "О╩©м");
        assert_eq!(decoded("utf-16", b"\xfe\xff\0a"), "a");
        assert_eq!(decoded("utf-16", b"\xff\xfea\0"), "a");
        assert_eq!(decoded("utf-16be", b"\0a"), "a");
        let mut word = Vec::new();
        Charset::of(b"iso-8859-1").decode(b"\xff\xfex", &mut word);
        assert_eq!(word, "ÿþx".as_bytes());
    }

    #[test]
    fn pieces_make_no_difference() {
        let text = b"\x1b$B$3$s\x1b(B ok \x1b$B$K$A$O\x1b(B";
        let mut pieces = String::new();
        let mut decoder = Charset::of(b"iso-2022-jp").decoder().expect("it isn't UTF-8");
        let mut piece = String::new();
        for byte in text {
            decoder.feed(std::slice::from_ref(byte), false, &mut piece);
            pieces.push_str(&piece);
        }
        decoder.feed(&[], true, &mut piece);
        pieces.push_str(&piece);
        assert_eq!(pieces, "こん ok にちは");
    }
}
