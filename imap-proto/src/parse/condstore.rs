//! Mod-sequences and the modifiers that carry them (RFC 7162 §7; their shape is that of RFC 4466 §2).

use super::partial::Partial;
use super::{Cursor, Error};
use crate::types::ModSeq;

impl Cursor<'_> {
    /// `mod-sequence-value`: 1 to 2^63 - 1.
    pub(crate) fn modseq(&mut self) -> Result<ModSeq, Error> {
        match self.modseq_or_zero()? {
            ModSeq(0) => Err(Error::Expected("a mod-sequence above 0")),
            modseq => Ok(modseq),
        }
    }

    /// `mod-sequence-valzer`: 0 to 2^63 - 1.
    pub(crate) fn modseq_or_zero(&mut self) -> Result<ModSeq, Error> {
        self.number64().map(ModSeq).map_err(|_| Error::Expected("a mod-sequence below 2^63"))
    }
}

/// What may follow the mailbox in SELECT and EXAMINE, to the end of the command: whether CONDSTORE was said
/// (RFC 7162 §3.1.8).
pub(crate) fn select_parameters(cursor: &mut Cursor<'_>) -> Result<bool, Error> {
    let mut condstore = false;
    if cursor.skip(b" (") {
        loop {
            match cursor.atom("a parameter")?.to_ascii_uppercase().as_slice() {
                b"CONDSTORE" => condstore = true,
                // RFC 7162 §3.2.5: BAD for QRESYNC, too, where that was not enabled.
                _ => return Err(Error::Unknown("parameter")),
            }
            if cursor.skip(b")") {
                break;
            }
            cursor.space()?;
        }
    }
    cursor.end()?;
    Ok(condstore)
}

/// What may follow the items of a FETCH.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct FetchModifiers {
    /// CHANGEDSINCE (RFC 7162 §3.1.4.1)
    pub(crate) changed_since: Option<ModSeq>,
    /// PARTIAL (RFC 9394 §3.3)
    pub(crate) partial: Option<Partial>,
}

/// What may follow the items of a FETCH, to the end of the command; PARTIAL only in UID FETCH.
pub(crate) fn fetch_modifiers(
    cursor: &mut Cursor<'_>,
    by_uid: bool,
) -> Result<FetchModifiers, Error> {
    let mut found = FetchModifiers::default();
    if cursor.end().is_err() {
        cursor.expect(b' ', "the end of the command")?;
        cursor.list(false, |cursor| {
            match cursor.atom("a modifier")?.to_ascii_uppercase().as_slice() {
                b"CHANGEDSINCE" if found.changed_since.is_none() => {
                    cursor.space()?;
                    found.changed_since = Some(cursor.modseq()?);
                }
                b"PARTIAL" if by_uid && found.partial.is_none() => {
                    cursor.space()?;
                    found.partial = Some(Partial::parse(cursor)?);
                }
                b"CHANGEDSINCE" => return Err(TWICE),
                b"PARTIAL" if by_uid => return Err(TWICE),
                _ => return Err(Error::Unknown("modifier")),
            }
            Ok(())
        })?;
    }
    cursor.end()?;
    Ok(found)
}

/// What may stand before the flags of a STORE: UNCHANGEDSINCE, and the space behind it (RFC 7162 §3.1.3).
pub(crate) fn store_modifiers(cursor: &mut Cursor<'_>) -> Result<Option<ModSeq>, Error> {
    let mut unchanged_since = None;
    if cursor.peek() == Some(b'(') {
        cursor.list(false, |cursor| {
            if !cursor.atom("a modifier")?.eq_ignore_ascii_case(b"UNCHANGEDSINCE") {
                return Err(Error::Unknown("modifier"));
            }
            if unchanged_since.is_some() {
                return Err(TWICE);
            }
            cursor.space()?;
            unchanged_since = Some(cursor.modseq_or_zero()?);
            Ok(())
        })?;
        cursor.space()?;
    }
    Ok(unchanged_since)
}

const TWICE: Error = Error::Expected("a modifier once");

/// What follows MODSEQ as a search key (RFC 7162 §3.1.5). One mod-sequence is kept for all of a message's flags, so the
/// name of one and whose it is are read and not looked at.
pub(crate) fn search_modseq(cursor: &mut Cursor<'_>) -> Result<ModSeq, Error> {
    const NAME: Error = Error::Expected("the name of a flag, such as \"/flags/\\\\Seen\"");
    cursor.space()?;
    if cursor.peek() == Some(b'"') {
        let name = cursor.string()?;
        let flag = match name.split_at_checked(7) {
            Some((head, flag)) if head.eq_ignore_ascii_case(b"/flags/") => flag,
            Some(_) | None => return Err(NAME),
        };
        let flag = flag.strip_prefix(b"\\").unwrap_or(flag);
        if flag.is_empty() || !flag.iter().copied().all(super::is_atom) {
            return Err(NAME);
        }
        cursor.space()?;
        match cursor.atom("all, priv or shared")?.to_ascii_lowercase().as_slice() {
            b"all" | b"priv" | b"shared" => {}
            _ => return Err(Error::Expected("all, priv or shared")),
        }
        cursor.space()?;
    }
    cursor.modseq_or_zero()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole<T>(
        text: &str,
        parse: impl Fn(&mut Cursor<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut cursor = Cursor::new(text.as_bytes());
        let value = parse(&mut cursor)?;
        cursor.end()?;
        Ok(value)
    }

    #[test]
    fn rfc7162_7_mod_sequences_have_63_bits() {
        let most = (1 << 63) - 1;
        assert_eq!(whole("9223372036854775807", |cursor| cursor.modseq()), Ok(ModSeq(most)));
        assert_eq!(
            whole("9223372036854775807", |cursor| cursor.modseq_or_zero()),
            Ok(ModSeq(most))
        );
        assert_eq!(whole("1", |cursor| cursor.modseq()), Ok(ModSeq(1)));
        assert_eq!(whole("0", |cursor| cursor.modseq_or_zero()), Ok(ModSeq(0)));
        for wrong in ["", "0", "-1", "+1", "9223372036854775808", "18446744073709551616", "1.0"] {
            assert!(whole(wrong, |cursor| cursor.modseq()).is_err(), "{wrong}");
        }
        let digits = "9".repeat(100_000);
        assert!(whole(&digits, |cursor| cursor.modseq_or_zero()).is_err());
    }

    #[test]
    fn rfc7162_3_1_5_the_name_of_a_flag_before_the_number() {
        for right in [
            " 7",
            " \"/flags/\\\\Seen\" all 7",
            " \"/FLAGS/$mdnsent\" Priv 7",
            " \"/flags/x\" shared 7",
        ] {
            assert_eq!(whole(right, search_modseq), Ok(ModSeq(7)), "{right}");
        }
        for wrong in [
            "",
            " x",
            " \"/flags/\\\\Seen\" 7",
            " \"/flags/\" all 7",
            " \"/flags/a b\" all 7",
            " \"/comment\" all 7",
            " \"\" all 7",
            " \"/flags/x\" mine 7",
            " \"/flags/x\" all",
            " /flags/x all 7",
        ] {
            assert!(whole(wrong, search_modseq).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rfc4466_2_modifiers() {
        assert_eq!(whole("", select_parameters), Ok(false));
        assert_eq!(whole(" (condstore)", select_parameters), Ok(true));
        for wrong in [" ", " ()", " (CONDSTORE", " (X)", " (QRESYNC (1 2))", " (CONDSTORE)x"] {
            assert!(whole(wrong, select_parameters).is_err(), "{wrong}");
        }
        let of = |by_uid| move |cursor: &mut Cursor<'_>| fetch_modifiers(cursor, by_uid);
        let none = FetchModifiers::default();
        assert_eq!(whole("", of(false)), Ok(none));
        let since = FetchModifiers { changed_since: Some(ModSeq(5)), ..none };
        assert_eq!(whole(" (ChangedSince 5)", of(false)), Ok(since));
        let partial = Some(Partial::parse(&mut Cursor::new(b"-1:-3")).unwrap());
        assert_eq!(whole(" (partial -1:-3)", of(true)), Ok(FetchModifiers { partial, ..none }));
        let both = Ok(FetchModifiers { partial, ..since });
        assert_eq!(whole(" (PARTIAL -1:-3 CHANGEDSINCE 5)", of(true)), both);
        assert_eq!(whole(" (CHANGEDSINCE 5 PARTIAL -1:-3)", of(true)), both);
        assert!(whole(" (PARTIAL -1:-3)", of(false)).is_err());
        assert!(whole(" (PARTIAL 1:2 PARTIAL 1:2)", of(true)).is_err());
        for wrong in [
            " ",
            " ()",
            " (CHANGEDSINCE)",
            " (CHANGEDSINCE 0)",
            " (CHANGEDSINCE 5",
            " (CHANGEDSINCE 5 VANISHED)",
            " (CHANGEDSINCE 5 CHANGEDSINCE 5)",
            "(CHANGEDSINCE 5)",
        ] {
            assert!(whole(wrong, of(true)).is_err(), "{wrong}");
        }
        assert_eq!(whole("(unchangedsince 0) ", store_modifiers), Ok(Some(ModSeq(0))));
        for wrong in [
            "(UNCHANGEDSINCE 0)",
            "() ",
            "(UNCHANGEDSINCE) ",
            "(UNCHANGEDSINCE 1 UNCHANGEDSINCE 1) ",
            "(CHANGEDSINCE 1) ",
        ] {
            assert!(whole(wrong, store_modifiers).is_err(), "{wrong}");
        }
    }
}
