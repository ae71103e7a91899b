//! Parameters as they are read rather than as they are sent: sections joined, percent escapes and character sets undone
//! (RFC 2231).

use super::charset::Charset;
use super::decode::decode_words;
use super::value::params;

/// Appends the parameters of a Content-Type or Content-Disposition, each as `name=value`, in UTF-8 as far as the sets
/// are known; nothing when all stand in `value` as they are read, or the field is another.
pub(crate) fn write(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let has_params = [&b"Content-Type"[..], b"Content-Disposition"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name));
    if !has_params || memchr::memchr(b'*', value).is_none() {
        return;
    }
    for (name, value) in params(value) {
        match name.strip_suffix(b"*") {
            Some(name) => {
                write_name(name, out);
                decode(&value, out);
            }
            None => {
                write_name(&name, out);
                decode_words(&value, out);
            }
        }
    }
}

fn write_name(name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"; ");
    out.extend_from_slice(name);
    out.push(b'=');
}

/// `charset'language'text` (RFC 2231 §4); without the quotes all is text.
fn decode(value: &[u8], out: &mut Vec<u8>) {
    let mut pieces = value.splitn(3, |&byte| byte == b'\'');
    let (charset, text) = match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(text)) => (Charset::of(charset), text),
        _ => (Charset::default(), value),
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, behind @ ..] => {
                digit(*high).zip(digit(*low)).map(|pair| (pair, behind))
            }
            _ => None,
        };
        rest = match escaped {
            Some(((high, low), behind)) => {
                bytes.push(high << 4 | low);
                behind
            }
            None => {
                bytes.push(*first);
                after
            }
        };
    }
    charset.decode(&bytes, out);
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> String {
        let mut out = Vec::new();
        write(b"content-disposition", value.as_bytes(), &mut out);
        String::from_utf8(out).expect("the sets are known")
    }

    #[test]
    fn escapes_and_sections() {
        assert_eq!(read("attachment; filename*=utf-8'de'%e2%82%ac%20rates"), "; filename=€ rates");
        assert_eq!(
            read("attachment; filename*0*=iso-8859-1''na%EFve; filename*1=\" 100%\"; size=3"),
            "; size=3; filename=naïve 100%"
        );
        assert_eq!(read("x; a*=%zz%4"), "; a=%zz%4");
        assert_eq!(read("x; a*=koi8-r''%cd"), "; a=м");
    }

    #[test]
    fn what_is_readable_already_is_left_out() {
        assert_eq!(read("attachment; filename=plain"), "");
        let mut out = Vec::new();
        write(b"Subject", b"x; a*=%41", &mut out);
        assert_eq!(out, b"");
    }
}
