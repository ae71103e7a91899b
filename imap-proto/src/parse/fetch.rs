//! What a FETCH asks for (RFC 3501 §6.4.5 and §9 `fetch`).

use super::{Cursor, Error};
use crate::fetch::{FetchItems, FieldNames, Fixed, Section, SectionKind};

/// Reads a macro, one item, or items in parentheses.
pub(crate) fn items(cursor: &mut Cursor<'_>) -> Result<FetchItems, Error> {
    let mut items = FetchItems::default();
    if cursor.peek() == Some(b'(') {
        cursor.list(false, |cursor| item(cursor, &mut items))?;
        return Ok(items);
    }
    let before = *cursor;
    items.fixed = match name(cursor, &mut [0; NAME]) {
        b"ALL" => Fixed::ALL,
        b"FAST" => Fixed::FAST,
        b"FULL" => Fixed::FULL,
        _ => {
            *cursor = before;
            item(cursor, &mut items)?;
            return Ok(items);
        }
    };
    Ok(items)
}

/// BINARY items in one FETCH: each may decode a whole message, and a client wants a part or two.
const BINARIES: usize = 100;

/// The longest name is BODYSTRUCTURE.
const NAME: usize = 16;

/// An item's name in capitals; empty when it is too long to be one.
fn name<'n>(cursor: &mut Cursor<'_>, upper: &'n mut [u8; NAME]) -> &'n [u8] {
    let name = cursor.run(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    let Some(upper) = upper.get_mut(..name.len()) else { return b"" };
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    upper
}

fn item(cursor: &mut Cursor<'_>, items: &mut FetchItems) -> Result<(), Error> {
    items.fixed |= match name(cursor, &mut [0; NAME]) {
        b"FLAGS" => Fixed::FLAGS,
        b"UID" => Fixed::UID,
        b"INTERNALDATE" => Fixed::INTERNALDATE,
        b"RFC822.SIZE" => Fixed::SIZE,
        b"ENVELOPE" => Fixed::ENVELOPE,
        b"BODYSTRUCTURE" => Fixed::BODYSTRUCTURE,
        b"MODSEQ" => Fixed::MODSEQ,
        b"SAVEDATE" => Fixed::SAVEDATE,
        b"EMAILID" => Fixed::EMAILID,
        b"THREADID" => Fixed::THREADID,
        b"BODY" if cursor.peek() != Some(b'[') => Fixed::BODY,
        b"BODY" => {
            items.sections.push(section(cursor, false)?);
            return Ok(());
        }
        b"BODY.PEEK" => {
            items.sections.push(section(cursor, true)?);
            return Ok(());
        }
        b"BINARY" => return push_binary(items, binary(cursor, false)?),
        b"BINARY.PEEK" => return push_binary(items, binary(cursor, true)?),
        b"BINARY.SIZE" => {
            let path = section_binary(cursor)?;
            return push_binary(items, Section::new(path, SectionKind::BinarySize, None, true));
        }
        b"RFC822" => {
            items.sections.push(Section::rfc822());
            return Ok(());
        }
        b"RFC822.HEADER" => {
            items.sections.push(Section::rfc822_header());
            return Ok(());
        }
        b"RFC822.TEXT" => {
            items.sections.push(Section::rfc822_text());
            return Ok(());
        }
        _ => return Err(Error::Unknown("fetch item")),
    };
    Ok(())
}

/// `section` and perhaps a partial: `[1.2.HEADER.FIELDS (To)]<0.100>`.
fn section(cursor: &mut Cursor<'_>, peek: bool) -> Result<Section, Error> {
    cursor.expect(b'[', "a section")?;
    let mut path = Vec::new();
    let mut text = true;
    while cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        match cursor.number()? {
            0 => return Err(Error::Expected("a part number above 0")),
            number => path.push(number),
        }
        text = cursor.skip(b".");
        if !text {
            break;
        }
    }
    let kind = if !text || (path.is_empty() && cursor.peek() == Some(b']')) {
        SectionKind::All
    } else if cursor.skip(b"HEADER.FIELDS.NOT ") {
        SectionKind::HeaderFieldsNot(fields(cursor)?)
    } else if cursor.skip(b"HEADER.FIELDS ") {
        SectionKind::HeaderFields(fields(cursor)?)
    } else if cursor.skip(b"HEADER") {
        SectionKind::Header
    } else if cursor.skip(b"TEXT") {
        SectionKind::Text
    } else if !path.is_empty() && cursor.skip(b"MIME") {
        SectionKind::Mime
    } else {
        return Err(Error::Unknown("section"));
    };
    cursor.expect(b']', "the end of the section")?;
    Ok(Section::new(path, kind, partial(cursor)?, peek))
}

fn push_binary(items: &mut FetchItems, section: Section) -> Result<(), Error> {
    let binary =
        |section: &&Section| matches!(section.kind, SectionKind::Binary | SectionKind::BinarySize);
    if items.sections.iter().filter(binary).count() >= BINARIES {
        return Err(Error::Limit("BINARY items"));
    }
    items.sections.push(section);
    Ok(())
}

/// `section-binary` and perhaps a partial (RFC 3516 §7): `[1.2]<0.100>`.
fn binary(cursor: &mut Cursor<'_>, peek: bool) -> Result<Section, Error> {
    let path = section_binary(cursor)?;
    Ok(Section::new(path, SectionKind::Binary, partial(cursor)?, peek))
}

fn section_binary(cursor: &mut Cursor<'_>) -> Result<Vec<u32>, Error> {
    cursor.expect(b'[', "a section")?;
    let mut path = Vec::new();
    while cursor.peek() != Some(b']') || !path.is_empty() {
        match cursor.number()? {
            0 => return Err(Error::Expected("a part number above 0")),
            number => path.push(number),
        }
        if !cursor.skip(b".") {
            break;
        }
    }
    cursor.expect(b']', "the end of the section")?;
    Ok(path)
}

/// `<origin.count>`, if it is there.
fn partial(cursor: &mut Cursor<'_>) -> Result<Option<(u64, u64)>, Error> {
    if !cursor.skip(b"<") {
        return Ok(None);
    }
    let origin = cursor.number64()?;
    cursor.expect(b'.', "the length of the partial")?;
    let count = cursor.number64()?;
    if count == 0 {
        return Err(Error::Expected("a length above 0"));
    }
    cursor.expect(b'>', "the end of the partial")?;
    Ok(Some((origin, count)))
}

fn fields(cursor: &mut Cursor<'_>) -> Result<FieldNames, Error> {
    let mut names = Vec::new();
    cursor.list(false, |cursor| {
        names.push(cursor.astring()?.into_owned());
        Ok(())
    })?;
    Ok(FieldNames::new(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FetchItems, Error> {
        let mut cursor = Cursor::new(text.as_bytes());
        let items = items(&mut cursor)?;
        cursor.end()?;
        Ok(items)
    }

    fn sections(text: &str) -> String {
        let names = parse(text)
            .unwrap()
            .sections
            .into_iter()
            .map(|section| String::from_utf8(section.name).unwrap());
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn items_and_macros() {
        assert_eq!(parse("fast").unwrap().fixed, Fixed::FAST);
        assert_eq!(
            parse("(UID flags BODY)").unwrap().fixed,
            Fixed::UID | Fixed::FLAGS | Fixed::BODY
        );
        assert_eq!(sections("BODY[]"), "BODY[]");
        assert_eq!(
            sections("(BODY.PEEK[HEADER.FIELDS (From \"To\")] body[1.2.mime]<5.10>)"),
            "BODY[HEADER.FIELDS (From To)] BODY[1.2.MIME]<5>"
        );
        assert_eq!(
            sections("(RFC822 BODY[1] BODY[1.TEXT] BODY[HEADER])"),
            "RFC822 BODY[1] BODY[1.TEXT] BODY[HEADER]"
        );
        assert_eq!(
            sections("(BINARY[] BINARY.PEEK[1.2]<5.10> binary.size[3])"),
            "BINARY[] BINARY[1.2]<5> BINARY.SIZE[3]"
        );
        assert!(parse("BINARY[1]").unwrap().sets_seen());
        assert!(!parse("(BINARY.PEEK[1] BINARY.SIZE[1])").unwrap().sets_seen());
        assert!(parse("BODY[]").unwrap().sets_seen());
        assert!(!parse("BODY.PEEK[]").unwrap().sets_seen());
        for wrong in [
            "",
            "()",
            "(FLAGS",
            "(FAST)",
            "BODY[",
            "BODY[MIME]",
            "BODY[1.]",
            "BODY[0]",
            "BODY[1..2]",
            "BODY[]<1>",
            "BODY[]<0.0>",
            "BODY[]<0.9223372036854775808>",
            "BODY[HEADER.FIELDS ()]",
            "BODY[TEXTS]",
            "BINARY",
            "BINARY[1.]",
            "BINARY[0]",
            "BINARY[TEXT]",
            "BINARY[1.MIME]",
            "BINARY[1]<0.0>",
            "BINARY.SIZE[1]<0.1>",
            "BINARY.SIZE",
            "FLAGS UID",
            "X",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
