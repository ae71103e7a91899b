//! Why an ENVELOPE or a structure differs.

use crate::value::Value;

macro_rules! reasons {
    ($($name:ident $text:literal,)*) => {
        /// A difference that is meant; `docs/formats/mime.md` argues each.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum Reason { $($name,)* }

        impl Reason {
            /// What Loft does, or what the other server does.
            pub fn text(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    HungUp "Dovecot loses count of lone CRs, finds its cache corrupted and closes the connection",
    LoneCr "Dovecot loses count of lone CRs in partials",
    BelowLeaf "a part without parts has no part 1; Dovecot gives the part itself",
    LineEndOfBoundary "the line end in front of a boundary is the boundary's, also behind a header or another boundary",
    NoBlankLine "a header without an empty line: Dovecot adds one to HEADER.FIELDS of the message, Loft to no subset",
    ReadsOn "Dovecot reads a header, or for BINARY a body, on behind the boundary that ends it",
    EmptyBoundary "an empty boundary is none (RFC 2046 §5.1.1)",
    LongBoundary "boundaries are compared in 256 bytes; in Dovecot in 80",
    MessageGlobal "message/global is a message",
    EncodedMessage "an encoded message isn't looked into",
    EmptyMessage "an empty message can be stored",
    Nul "a NUL shows as 0x80, in BINARY as it is; in Dovecot's ENVELOPE as U+FFFD, in its BINARY perhaps as 0x80",
    Converted "what is appended is stored as it is; Dovecot may store base64 for binary",
    OddEncoding "an encoding that is shown as 7bit is 7bit for BINARY too",
    BrokenElsewhere "a size doesn't depend on what is broken in other parts",
    WrongSize "BINARY.SIZE is the length of BINARY (RFC 3516 §4.3); in Dovecot not always",
    SpaceBehindEncoding "an encoding is known whatever white space or comment is behind it (RFC 2045 §6.1)",
    BrokenBase64 "what is no base64 is skipped, or ends it (RFC 2045 §6.8)",
    BrokenQuoted "what is no quoted-printable stands for itself (RFC 2045 §6.7)",
    DecodesInside "a multipart or message has no encoding of its own; BINARY leaves it alone",
    NoDate "a message without a date that can be read is sent at no time; in Dovecot mostly in 1970",
    OddDate "a date is read whatever is missing or obsolete in it (RFC 5322 §4.3); in Dovecot it is in 1970",
    UnreadAddress "an address field is searched as it is written, also what is no address",
    OddField "a field is searched although something in it breaks a rule",
    InnerHeader "the header of a message inside is body text of the one outside",
    DecodedMessage "a message that is encoded is searched as text (RFC 9051 §6.4.4)",
    DecodedParam "parameters are searched as they are read, too (RFC 2231)",
    PartHeader "TEXT looks into the headers of parts",
    PartText "text is searched as it is read, whatever is broken around it",
    NoText "what no header and no text says, once decoded, isn't found (RFC 9051 §6.4.4)",
    BareLineFeed "sizes count the stored bytes, bare line feeds as one",
    InventedAddress "what ENVELOPE shows for a missing address isn't searched",
    NoMime "Content-* fields and parameters of text/plain count without MIME-Version",
    OuterSpace "white space around a value isn't shown",
    ParamOrder "parameters stand in their order, those in sections last",
    Nameless "what has no name is no parameter",
    BehindBrokenParam "a parameter behind one that can't be read is shown",
    OpenLiteral "a domain literal that doesn't end goes to the end of the field",
    OpenQuote "a quote that doesn't end hides what follows it",
    FoldedQuote "white space in a quoted string or comment is shown as it is",
    Sections "sections that are incomplete, twice, too many, or in several cases",
    RepeatedField "of a repeated Content-* field the first counts, whatever is in it",
    Language "a language tag has letters, digits and hyphens (RFC 5646 §2.1)",
    DispositionWithoutType "a disposition without a type is NIL",
    OpenComment "a comment that doesn't end hides only what is in it",
    EmptyElement "empty elements of an address list show nothing",
    BehindSemicolon "addresses behind a semicolon are shown",
    Dots "white space and dots in excess in an address are shown or skipped",
    EmptyDomain "a domain that is empty is missing, no error in what is around it",
    BehindError "addresses behind one that can't be read are shown",
    CommentBehindError "the last comment of an address is its name, also behind what can't be read",
    CommentInWord "a comment inside a word parts it",
}

/// Explains envelopes.
pub fn envelope(message: &[u8], ours: &Value, theirs: &Value) -> Option<Reason> {
    let mut reasons = Vec::new();
    walk_envelope(message, ours, theirs, &mut reasons)?;
    reasons.last().copied()
}

/// Explains structures.
pub fn structure(message: &[u8], ours: &Value, theirs: &Value) -> Option<Reason> {
    let mut reasons = Vec::new();
    walk_part(message, ours, theirs, &mut reasons)?;
    reasons.last().copied()
}

/// `Some` when all differences are explained.
type Explained = Option<()>;

fn walk_envelope(message: &[u8], ours: &Value, theirs: &Value, why: &mut Vec<Reason>) -> Explained {
    let (ours, theirs) = (ours.list()?, theirs.list()?);
    if ours.len() != 10 || theirs.len() != 10 {
        return None;
    }
    let names = [
        "Date",
        "Subject",
        "From",
        "Sender",
        "Reply-To",
        "To",
        "Cc",
        "Bcc",
        "In-Reply-To",
        "Message-ID",
    ];
    for (n, name) in names.iter().enumerate() {
        if ours[n] == theirs[n] {
            continue;
        }
        let nul_in_name = || message.windows(2).any(|pair| pair == b"\0:");
        if ours[n] == Value::Nil && theirs[n] == Value::String(Vec::new()) && nul_in_name() {
            why.push(Reason::Nul);
            continue;
        }
        if matches!(n, 0 | 1 | 8 | 9) {
            same_trimmed(&ours[n], &theirs[n], why)?;
            continue;
        }
        let own = addresses(message, name, &ours[n], &theirs[n]);
        let from =
            || (n == 3 || n == 4).then(|| addresses(message, "From", &ours[n], &theirs[n]))?;
        why.push(own.or_else(from)?);
    }
    Some(())
}

fn same_trimmed(ours: &Value, theirs: &Value, why: &mut Vec<Reason>) -> Explained {
    if ours != theirs {
        (ours.bytes()?.trim_ascii() == theirs.bytes()?.trim_ascii()).then_some(())?;
        why.push(Reason::OuterSpace);
    }
    Some(())
}

/// What in the fields of this name makes their addresses differ.
fn addresses(message: &[u8], name: &str, ours: &Value, theirs: &Value) -> Option<Reason> {
    let texts = fields(message, name);
    let any = |wrong: fn(&[u8]) -> bool| texts.iter().any(|text| wrong(text));
    let list = |value: &Value| value.list().unwrap_or_default().to_vec();
    let (ours, theirs) = (without_spaces(&list(ours)), without_spaces(&list(theirs)));
    let is_quote = |text: &[u8]| text.iter().any(|byte| matches!(byte, b'"' | b'('));
    if ours == theirs {
        // White space can only come out of quotes and comments.
        any(is_quote).then_some(Reason::FoldedQuote)
    } else if without_names(&ours) == without_names(&theirs) && any(|text| text.contains(&b'(')) {
        Some(Reason::CommentBehindError)
    } else if any(|text| count(text, b'(') > count(text, b')')) {
        Some(Reason::OpenComment)
    } else if any(|text| text.contains(&b';')) {
        Some(Reason::BehindSemicolon)
    } else if any(has_empty_element) {
        Some(Reason::EmptyElement)
    } else if any(has_odd_dots) {
        Some(Reason::Dots)
    } else if any(|text| count(text, b'[') > count(text, b']')) {
        Some(Reason::OpenLiteral)
    } else if any(|text| count(text, b'"') % 2 == 1) {
        Some(Reason::OpenQuote)
    } else if any(|text| {
        text.windows(2).any(|pair| pair[0].is_ascii_alphanumeric() && pair[1] == b'(')
    }) {
        Some(Reason::CommentInWord)
    } else if any(has_empty_domain) {
        Some(Reason::EmptyDomain)
    } else if theirs.iter().filter(|address| !is_marked(address)).all({
        let mut shown = ours.iter();
        move |address| shown.any(|ours| ours == address)
    }) {
        Some(Reason::BehindError)
    } else {
        None
    }
}

/// The addresses without the white space in them.
fn without_spaces(addresses: &[Value]) -> Vec<Value> {
    let squeezed = |address: &Value| {
        let mut address = address.list().unwrap_or_default().to_vec();
        for part in &mut address {
            if let Value::String(text) = part {
                text.retain(|byte| !byte.is_ascii_whitespace());
            }
        }
        Value::List(address)
    };
    addresses.iter().map(squeezed).collect()
}

fn without_names(addresses: &[Value]) -> Vec<&[Value]> {
    addresses
        .iter()
        .map(|address| address.list().unwrap_or_default().get(1..).unwrap_or_default())
        .collect()
}

/// Whether an address shows that something of it can't be read.
fn is_marked(address: &Value) -> bool {
    let marks = [&b"MISSING_MAILBOX"[..], b"MISSING_DOMAIN", b"INVALID_ROUTE", b"SYNTAX_ERROR"];
    address
        .list()
        .unwrap_or_default()
        .iter()
        .any(|part| part.bytes().is_some_and(|text| marks.contains(&text)))
}

/// `@` with nothing behind it.
fn has_empty_domain(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'@')
        .skip(1)
        .any(|domain| matches!(domain.trim_ascii_start().first(), None | Some(b'>' | b',' | b';')))
}

fn count(text: &[u8], wanted: u8) -> usize {
    text.iter().filter(|&&byte| byte == wanted).count()
}

fn has_empty_element(text: &[u8]) -> bool {
    let (mut empty, mut depth, mut seen) = (true, 0, false);
    for &byte in text {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ if depth > 0 => {}
            b',' if empty => return true,
            b',' | b':' => (empty, seen) = (true, true),
            _ if byte.is_ascii_whitespace() => {}
            _ => empty = false,
        }
    }
    empty && seen
}

fn has_odd_dots(text: &[u8]) -> bool {
    text.windows(2).any(|pair| {
        matches!(
            pair,
            [b'.', b' ' | b'\t' | b'\r' | b'.' | b',' | b'>'] | [b' ' | b'\t' | b'"', b'.']
        )
    }) || text.trim_ascii().ends_with(b".")
}

/// The values of all fields of this name, in any header of the message.
pub fn fields(message: &[u8], name: &str) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut inside = false;
    for line in message.split(|&byte| byte == b'\n') {
        if inside && matches!(line.first(), Some(b' ' | b'\t')) {
            if let Some(value) = found.last_mut() {
                value.push(b'\n');
                value.extend_from_slice(line);
            }
            continue;
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or_default();
        let (field, value) = line.split_at(colon);
        inside = field.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes());
        if inside {
            found.push(value.strip_prefix(b":").unwrap_or(value).to_vec());
        }
    }
    found
}

/// Whether one header of the message has this field twice.
pub fn repeats(message: &[u8], name: &str) -> bool {
    let mut seen = 0;
    message.split(|&byte| byte == b'\n').any(|line| {
        if matches!(line, b"" | b"\r") || line.starts_with(b"--") {
            seen = 0;
        }
        let field = line.split(|&byte| byte == b':').next().unwrap_or_default();
        seen += usize::from(field.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes()));
        seen > 1
    })
}

fn walk_part(message: &[u8], ours: &Value, theirs: &Value, why: &mut Vec<Reason>) -> Explained {
    if ours == theirs {
        return Some(());
    }
    let (ours, theirs) = (ours.list()?, theirs.list()?);
    if ours.get(..2) != theirs.get(..2) && ours.first().and_then(Value::bytes).is_some() {
        let open = |text: &Vec<u8>| count(text, b'(') > count(text, b')');
        let broken = *theirs.get(..2)? == [Value::String(Vec::new()), Value::String(Vec::new())];
        (broken && fields(message, "Content-Type").iter().any(open)).then_some(())?;
        why.push(Reason::OpenComment);
        return Some(());
    }
    let children = |part: &[Value]| part.iter().take_while(|value| value.list().is_some()).count();
    let (our_children, their_children) = (children(ours), children(theirs));
    if our_children != their_children || ours.len() != theirs.len() {
        return None;
    }
    if our_children > 0 {
        for n in 0..our_children {
            walk_part(message, &ours[n], &theirs[n], why)?;
        }
        (ours[our_children] == theirs[our_children]).then_some(())?;
        return walk_extension(
            message,
            &ours[our_children + 1..],
            &theirs[our_children + 1..],
            true,
            why,
        );
    }
    walk_single(message, ours, theirs, why)
}

/// A part without parts: type, subtype, parameters, id, description, encoding, size.
fn walk_single(
    message: &[u8],
    ours: &[Value],
    theirs: &[Value],
    why: &mut Vec<Reason>,
) -> Explained {
    let (our_size, their_size) = (ours.get(6)?.number()?, theirs.get(6)?.number()?);
    if their_size != our_size {
        (their_size == our_size + 2).then_some(())?;
        why.push(Reason::LineEndOfBoundary);
    }
    let is = |n: usize, text: &[u8]| {
        ours[n].bytes().is_some_and(|found| found.eq_ignore_ascii_case(text))
    };
    let mut rest = 7;
    if is(0, b"message") && ours.get(7).is_some_and(|value| value.list().is_some()) {
        walk_envelope(message, &ours[7], &theirs[7], why)?;
        walk_part(message, &ours[8], &theirs[8], why)?;
        rest = 9;
    }
    if rest == 9 || is(0, b"text") {
        let (ours, theirs) = (ours.get(rest)?.number()?, theirs.get(rest)?.number()?);
        (ours..=ours + 1).contains(&theirs).then_some(())?;
        rest += 1;
    }
    let default = [
        Value::List(vec![Value::String(b"charset".to_vec()), Value::String(b"us-ascii".to_vec())]),
        Value::Nil,
        Value::Nil,
        Value::String(b"7bit".to_vec()),
    ];
    let extension = theirs.get(rest..).unwrap_or_default().iter();
    if theirs[2..6] == default
        && extension.clone().all(|value| *value == Value::Nil)
        && (is(0, b"text") && is(1, b"plain"))
        && (ours[2..6] != default || ours.get(rest..) != theirs.get(rest..))
    {
        why.push(Reason::NoMime);
        return Some(());
    }
    walk_params(&ours[2], &theirs[2], why)?;
    for n in 3..6 {
        if n == 5 && ours[n] != theirs[n] && repeats(message, "Content-Transfer-Encoding") {
            why.push(Reason::RepeatedField);
        } else if ours[n] != theirs[n] {
            same_trimmed(&ours[n], &theirs[n], why)?;
        }
    }
    walk_extension(message, &ours[rest..], &theirs[rest..], false, why)
}

/// Parameters or MD5, disposition, language, location.
fn walk_extension(
    message: &[u8],
    ours: &[Value],
    theirs: &[Value],
    params: bool,
    why: &mut Vec<Reason>,
) -> Explained {
    for (n, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        if ours == theirs {
            continue;
        }
        match n {
            0 if params => walk_params(ours, theirs, why)?,
            1 => {
                let reason = walk_disposition(message, ours, theirs, why)?;
                why.push(reason);
            }
            2 if is_no_tag(message) => why.push(Reason::Language),
            2 if fields(message, "Content-Language")
                .iter()
                .any(|text| count(text, b'(') > count(text, b')')) =>
            {
                why.push(Reason::OpenComment);
            }
            2 if repeats(message, "Content-Language") => why.push(Reason::RepeatedField),
            _ => same_trimmed(ours, theirs, why)?,
        }
    }
    Some(())
}

/// Whether some Content-Language has something else than letters, digits and hyphens in a tag.
fn is_no_tag(message: &[u8]) -> bool {
    let odd = |byte: &u8| !byte.is_ascii_alphanumeric() && !b"- \t\r\n,()".contains(byte);
    fields(message, "Content-Language").iter().any(|text| text.iter().any(odd))
}

fn walk_disposition(
    message: &[u8],
    ours: &Value,
    theirs: &Value,
    why: &mut Vec<Reason>,
) -> Option<Reason> {
    if let (Some([ours, our_params]), Some([theirs, their_params])) = (ours.list(), theirs.list())
        && ours == theirs
        && walk_params(our_params, their_params, why).is_some()
    {
        return why.pop();
    }
    if repeats(message, "Content-Disposition") {
        return Some(Reason::RepeatedField);
    }
    let without_type =
        theirs.list().and_then(|list| list.first()?.bytes()).is_some_and(<[u8]>::is_empty);
    (*ours == Value::Nil && without_type).then_some(Reason::DispositionWithoutType)
}

fn walk_params(ours: &Value, theirs: &Value, why: &mut Vec<Reason>) -> Explained {
    if ours == theirs {
        return Some(());
    }
    let pairs = |value: &Value| -> Vec<(Vec<u8>, Value)> {
        let pair = |pair: &[Value]| {
            (pair[0].bytes().unwrap_or_default().to_ascii_lowercase(), pair[1].clone())
        };
        value.list().unwrap_or_default().chunks_exact(2).map(pair).collect()
    };
    let (mut ours, mut theirs) = (pairs(ours), pairs(theirs));
    let mut drop = |wrong: &dyn Fn(&[u8]) -> bool| {
        for params in [&mut ours, &mut theirs] {
            params.retain(|(name, _)| !wrong(name));
            params.sort_by_key(|(name, value)| (name.clone(), value.to_string()));
        }
        let fewer = theirs.len() < ours.len() && theirs.iter().all(|param| ours.contains(param));
        (ours == theirs, fewer)
    };
    let in_sections = |name: &[u8]| {
        name.contains(&b'*') || [&b"name"[..], b"filename", b"charset"].contains(&name)
    };
    let reason = match (drop(&|_| false), drop(&<[u8]>::is_empty), drop(&in_sections)) {
        ((true, _), ..) => Reason::ParamOrder,
        (_, (true, _), _) => Reason::Nameless,
        (_, (_, true), _) => Reason::BehindBrokenParam,
        (.., (true, _)) => Reason::Sections,
        (.., (_, true)) => Reason::BehindBrokenParam,
        _ => return None,
    };
    why.push(reason);
    Some(())
}
