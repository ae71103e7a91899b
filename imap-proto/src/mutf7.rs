//! Modified UTF-7 (RFC 3501 §5.1.3), the way mailbox names are written before ENABLE IMAP4rev2.
//!
//! Only the one canonical form of a name is read: `decode` refuses what `encode` would write differently, so two
//! spellings never name the same mailbox and nothing hides behind an encoding.

/// The 64 digits: base64's with `,` for `/`.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// The name in UTF-8; `None` when it isn't canonical modified UTF-7.
pub fn decode(name: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(name).ok().filter(|text| text.is_ascii())?;
    if !text.contains('&') {
        return text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)).then(|| text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once('&') {
        out.push_str(plain);
        let (run, after) = after.split_once('-')?;
        if run.is_empty() {
            out.push('&');
        } else {
            decode_run(run.as_bytes(), &mut out)?;
        }
        rest = after;
    }
    out.push_str(rest);
    let mut again = Vec::with_capacity(name.len());
    encode(&out, &mut again);
    (again == name).then_some(out)
}

/// Appends `name` in modified UTF-7.
pub fn encode(name: &str, out: &mut Vec<u8>) {
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let direct = |c: char| matches!(c, ' '..='~');
        let end = rest.find(|c| direct(c) != direct(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        if direct(first) {
            for byte in run.bytes() {
                out.push(byte);
                if byte == b'&' {
                    out.push(b'-');
                }
            }
        } else {
            encode_run(run, out);
        }
    }
}

fn decode_run(run: &[u8], out: &mut String) -> Option<()> {
    let (mut bits, mut have) = (0u32, 0u32);
    let mut units = Vec::with_capacity(run.len() * 6 / 16);
    for byte in run {
        let digit = DIGITS.iter().position(|digit| digit == byte)? as u32;
        bits = bits << 6 | digit;
        have += 6;
        if have >= 16 {
            have -= 16;
            units.push((bits >> have) as u16);
            bits &= (1 << have) - 1;
        }
    }
    for unit in char::decode_utf16(units) {
        out.push(unit.ok()?);
    }
    Some(())
}

fn encode_run(run: &str, out: &mut Vec<u8>) {
    let (mut bits, mut have) = (0u32, 0u32);
    out.push(b'&');
    for unit in run.encode_utf16() {
        bits = bits << 16 | u32::from(unit);
        have += 16;
        while have >= 6 {
            have -= 6;
            out.extend(DIGITS.get((bits >> have & 63) as usize));
            bits &= (1 << have) - 1;
        }
    }
    if have > 0 {
        out.extend(DIGITS.get((bits << (6 - have) & 63) as usize));
    }
    out.push(b'-');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(name: &str) -> String {
        let mut out = Vec::new();
        encode(name, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_go_there_and_back() {
        for name in [
            "INBOX",
            "R&D",
            "Entwürfe",
            "日本語",
            "台北",
            "~peter/mail/台北/日本語",
            "😀 x",
            "&",
            "a&b&ü&",
        ] {
            assert_eq!(decode(encoded(name).as_bytes()).as_deref(), Some(name));
        }
        // RFC 3501 §5.1.3's example.
        assert_eq!(encoded("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        // Printable ASCII in base64; a run begun anew; bits left over; no end; a surrogate alone; 8 bits; `/` and `.`.
        let wrong = [
            "&AGE-",
            "&U,A-&Zes-",
            "&AOQB-",
            "&AOQ",
            "&2D0-",
            "\u{e4}",
            "&AC8-",
            "&AC4-",
            "&AOR-",
            "a&b",
            "&-&AA-",
        ];
        for name in wrong {
            assert_eq!(decode(name.as_bytes()), None, "{name}");
        }
    }
}
