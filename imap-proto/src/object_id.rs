//! Object identifiers as they are written (RFC 8474 §7): a letter, then 32 hexadecimal digits. 33 of the characters that
//! are allowed, at most 255 may be; the letter keeps ids of different things apart (§5.2).

use crate::types::MailboxId;

/// The longest id that a client may ask about (RFC 8474 §7).
pub(crate) const MAX: usize = 255;

/// The EMAILID of a message's content (RFC 8474 §5.1).
pub(crate) fn email(id: u128) -> [u8; 33] {
    object_id(b'M', id)
}

/// The THREADID of a message (RFC 8474 §5.2).
pub(crate) fn thread(id: u128) -> [u8; 33] {
    object_id(b'T', id)
}

/// A MAILBOXID (RFC 8474 §4).
pub(crate) fn mailbox(id: MailboxId) -> [u8; 33] {
    object_id(b'F', id.0)
}

/// Whether an id can contain this byte; what is written here is made of these alone.
pub(crate) fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn object_id(kind: u8, id: u128) -> [u8; 33] {
    let mut text = [kind; 33];
    for (digit, nibble) in text.iter_mut().skip(1).zip((0..32).rev()) {
        let value = (id >> (nibble * 4) & 0xf) as u8;
        *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8474_7_only_characters_that_are_allowed() {
        for id in [0, 1, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef, u128::MAX] {
            let (mail, thread, folder) = (email(id), thread(id), mailbox(MailboxId(id)));
            assert!(mail.iter().chain(&folder).chain(&thread).all(|byte| is_allowed(*byte)));
            assert!(mail.len() <= MAX && mail != folder && mail != thread && thread != folder);
        }
        assert_eq!(&email(0xab), b"M000000000000000000000000000000ab");
        assert_eq!(&mailbox(MailboxId(7)), b"F00000000000000000000000000000007");
    }
}
