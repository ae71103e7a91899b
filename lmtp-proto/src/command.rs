//! The grammar of a command line (RFC 5321 §4.1.1).

use crate::ask::BodyKind;
use crate::fault::Fault;

/// A command and its arguments, unparsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verb {
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Help,
    StartTls,
    Quit,
    /// EHLO, HELO.
    Hello,
    /// Commands of SMTP that are known and not offered.
    Foreign,
}

const VERBS: &[(&str, Verb)] = &[
    ("LHLO", Verb::Lhlo),
    ("MAIL", Verb::Mail),
    ("RCPT", Verb::Rcpt),
    ("DATA", Verb::Data),
    ("BDAT", Verb::Bdat),
    ("RSET", Verb::Rset),
    ("NOOP", Verb::Noop),
    ("VRFY", Verb::Vrfy),
    ("HELP", Verb::Help),
    ("STARTTLS", Verb::StartTls),
    ("QUIT", Verb::Quit),
    ("EHLO", Verb::Hello),
    ("HELO", Verb::Hello),
    ("EXPN", Verb::Foreign),
    ("AUTH", Verb::Foreign),
    ("ETRN", Verb::Foreign),
    ("BURL", Verb::Foreign),
    ("XCLIENT", Verb::Foreign),
    ("XFORWARD", Verb::Foreign),
];

/// Splits a line, without its CRLF, into verb and arguments.
pub(crate) fn split(line: &[u8]) -> Result<(Verb, &[u8]), Fault> {
    if line.iter().any(|byte| byte.is_ascii_control()) {
        return Err(Fault::Garbled);
    }
    // Spaces at the end are tolerated (RFC 5321 §4.1.1).
    let line = line.trim_ascii_end();
    let (verb, arguments) = match memchr::memchr(b' ', line) {
        Some(space) => line.split_at(space),
        None => (line, [].as_slice()),
    };
    let known = VERBS.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(verb));
    let &(_, verb) = known.ok_or(Fault::UnknownVerb)?;
    Ok((verb, arguments.trim_ascii_start()))
}

/// Whether a line is HTTP: a browser that was pointed here by someone else (cross-protocol scripting, ALPACA).
pub(crate) fn is_http(line: &[u8]) -> bool {
    const METHODS: &[&[u8]] = &[
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"PUT ",
        b"DELETE ",
        b"CONNECT ",
        b"OPTIONS ",
        b"TRACE ",
        b"PATCH ",
        b"PRI * ",
    ];
    METHODS.iter().any(|method| line.starts_with(method))
        || line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"Host:"))
}

/// What follows `FROM:` or `TO:`. A space behind the colon is against the grammar, and often sent.
pub(crate) fn behind<'a>(arguments: &'a [u8], keyword: &[u8]) -> Result<&'a [u8], Fault> {
    match arguments.split_at_checked(keyword.len()) {
        Some((found, rest)) if found.eq_ignore_ascii_case(keyword) => Ok(rest.trim_ascii_start()),
        _ => Err(Fault::Arguments),
    }
}

/// The parameters of MAIL.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) size: Option<u64>,
    pub(crate) body: Option<BodyKind>,
    pub(crate) utf8: bool,
}

impl Parameters {
    /// Parses `*( SP keyword [ "=" value ] )`. `utf8` and `binary` say what is offered.
    pub(crate) fn parse(input: &[u8], utf8: bool, binary: bool) -> Result<Self, Fault> {
        let mut found = Self::default();
        if !input.is_empty() && !input.starts_with(b" ") {
            return Err(Fault::Arguments);
        }
        for parameter in input.split(|&byte| byte == b' ').filter(|parameter| !parameter.is_empty())
        {
            let (keyword, value) = match memchr::memchr(b'=', parameter) {
                Some(equals) => (parameter.get(..equals), parameter.get(equals + 1..)),
                None => (Some(parameter), None),
            };
            let keyword = keyword.unwrap_or_default();
            if keyword.eq_ignore_ascii_case(b"SIZE") {
                set(&mut found.size, size(value.unwrap_or_default())?)?;
            } else if keyword.eq_ignore_ascii_case(b"BODY") {
                set(&mut found.body, body(value.unwrap_or_default(), binary)?)?;
            } else if keyword.eq_ignore_ascii_case(b"SMTPUTF8") && utf8 {
                if value.is_some() || found.utf8 {
                    return Err(Fault::BadParameter);
                }
                found.utf8 = true;
            } else {
                return Err(Fault::UnknownParameter);
            }
        }
        Ok(found)
    }
}

fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), Fault> {
    match slot.replace(value) {
        Some(_) => Err(Fault::BadParameter),
        None => Ok(()),
    }
}

/// `size-value ::= 1*20DIGIT` (RFC 1870 §4); what is beyond 64 bits is beyond any limit, too.
fn size(value: &[u8]) -> Result<u64, Fault> {
    if value.len() > 20 {
        Err(Fault::BadParameter)
    } else {
        decimal(value).ok_or(Fault::BadParameter)
    }
}

fn body(value: &[u8], binary: bool) -> Result<BodyKind, Fault> {
    if value.eq_ignore_ascii_case(b"7BIT") {
        Ok(BodyKind::SevenBit)
    } else if value.eq_ignore_ascii_case(b"8BITMIME") {
        Ok(BodyKind::EightBitMime)
    } else if value.eq_ignore_ascii_case(b"BINARYMIME") && binary {
        Ok(BodyKind::BinaryMime)
    } else {
        Err(Fault::BodyValue)
    }
}

/// `chunk-size [ SP "LAST" ]` (RFC 3030 §2). `None` when the size cannot be known, and so not what follows.
pub(crate) fn chunk(arguments: &[u8]) -> Option<(u64, bool)> {
    let (size, marker) = match memchr::memchr(b' ', arguments) {
        Some(space) => arguments.split_at(space),
        None => (arguments, [].as_slice()),
    };
    let marker = marker.trim_ascii_start();
    let last = marker.eq_ignore_ascii_case(b"LAST");
    if !last && !marker.is_empty() {
        return None;
    }
    decimal(size).map(|size| (size, last))
}

/// `1*DIGIT`, or the largest number where it does not fit.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |value: u64, digit| {
        value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    }))
}

/// The name behind LHLO. A domain or address literal (RFC 5321 §4.1.1.1) uses only these; it goes into a header.
pub(crate) fn lhlo_name(arguments: &[u8]) -> Result<&str, Fault> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte);
    if arguments.is_empty() || arguments.len() > 255 || !arguments.iter().all(allowed) {
        return Err(Fault::Arguments);
    }
    str::from_utf8(arguments).map_err(|_| Fault::Arguments)
}

#[cfg(test)]
mod tests {
    use super::{Parameters, chunk};
    use crate::ask::BodyKind;
    use crate::fault::Fault;

    #[test]
    fn chunk_sizes() {
        assert_eq!(chunk(b"0"), Some((0, false)));
        assert_eq!(chunk(b"0 LAST"), Some((0, true)));
        assert_eq!(chunk(b"007  last"), Some((7, true)));
        assert_eq!(chunk(b"18446744073709551615"), Some((u64::MAX, false)));
        assert_eq!(chunk(b"99999999999999999999999999 LAST"), Some((u64::MAX, true)));
        for bad in
            [&b""[..], b"-1", b"+1", b"1x", b"0x10", b"1 LASTLY", b"1 LAST LAST", b"LAST", b"1,5"]
        {
            assert_eq!(chunk(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn parameters() {
        let parse = |input: &[u8]| Parameters::parse(input, true, false);
        let all = Parameters { size: Some(5), body: Some(BodyKind::EightBitMime), utf8: true };
        assert_eq!(parse(b" size=5  BODY=8bitmime SMTPUTF8"), Ok(all));
        assert_eq!(parse(b""), Ok(Parameters::default()));
        assert_eq!(parse(b" SIZE=99999999999999999999").unwrap().size, Some(u64::MAX));
        assert_eq!(parse(b" SIZE=999999999999999999999"), Err(Fault::BadParameter));
        assert_eq!(parse(b" SIZE=1 SIZE=1"), Err(Fault::BadParameter));
        assert_eq!(parse(b" SMTPUTF8=1"), Err(Fault::BadParameter));
        assert_eq!(parse(b" SIZE"), Err(Fault::BadParameter));
        assert_eq!(parse(b" BODY=BINARYMIME"), Err(Fault::BodyValue));
        assert_eq!(parse(b" AUTH=<>"), Err(Fault::UnknownParameter));
        assert_eq!(parse(b"SIZE=1"), Err(Fault::Arguments));
    }
}
