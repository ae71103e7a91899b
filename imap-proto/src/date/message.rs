//! The Date field of messages (RFC 5322 §3.3, obsolete forms §4.3), read as mail is written: kindly.

use super::{DateTime, Day, month_number};

/// Bytes of a Date field that are looked at; no real one is longer than a line.
const LOOKED_AT: usize = 1000;

/// Reads the value of a Date field; `None` when no date can be found in it.
///
/// Takes comments, folding, a missing day of week, two- and three-digit years, missing seconds, obsolete zone names and
/// a missing zone (both as UTC unless RFC 5322 §4.3 names an offset). Looks at the first 1,000 bytes, once.
pub fn parse_message_date(value: &[u8]) -> Option<DateTime> {
    let mut tokens = Tokens::new(value);
    let date = day(&mut tokens)?;
    time(&mut tokens, date)
}

/// The sent date that SORT and THREAD go by (RFC 5256 §2.2): as [`parse_message_date`], but a date whose time is none
/// counts from 00:00:00 UTC.
pub fn parse_sent_date(value: &[u8]) -> Option<DateTime> {
    let mut tokens = Tokens::new(value);
    let date = day(&mut tokens)?;
    Some(time(&mut tokens, date).unwrap_or_else(|| DateTime::new(date, 0, 0, 0, 0)))
}

/// Day, month and year, perhaps behind the day of the week.
fn day(tokens: &mut Tokens<'_>) -> Option<Day> {
    let mut token = tokens.next()?;
    if number(token).is_none() {
        token = tokens.next()?; // the day of week: its name carries nothing, so it isn't checked
    }
    let day = number(token)?;
    let name = tokens.next()?;
    let month = month_number(name.get(..3)?)?;
    let written = tokens.next()?;
    let year = match (number(written)?, written.len()) {
        // RFC 5322 §4.3: 00 to 49 are 2000 to 2049, 50 to 99 and three digits count from 1900.
        (year, ..=2) if year < 50 => year + 2000,
        (year, ..=3) => year + 1900,
        (year, _) => year,
    };
    tokens.hyphen_separates = false;
    Day::from_civil(year, month, day)
}

/// The time of that day and its zone; midnight in UTC where there is neither.
fn time(tokens: &mut Tokens<'_>, date: Day) -> Option<DateTime> {
    let Some(hour) = tokens.next() else { return Some(DateTime::new(date, 0, 0, 0, 0)) };
    let hour = number(hour).filter(|&hour| hour < 24)?;
    let minute = number(tokens.next()?).filter(|&minute| minute < 60)?;
    let mut zone = tokens.next();
    let mut second = 0;
    if let Some(found) = zone.and_then(number) {
        second = if found <= 60 { found } else { return None };
        zone = tokens.next();
    }
    Some(DateTime::new(date, hour, minute, second, zone.map_or(0, minutes_east)))
}

/// Words and numbers; what separates them (space, comma, colon, hyphen in a date, comments) is left out.
struct Tokens<'a> {
    rest: &'a [u8],
    /// As in `21-Nov-1997`; after the date a hyphen is the sign of a zone.
    hyphen_separates: bool,
}

impl<'a> Tokens<'a> {
    fn new(value: &'a [u8]) -> Tokens<'a> {
        Tokens { rest: value.get(..LOOKED_AT).unwrap_or(value), hyphen_separates: true }
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        self.skip();
        let digit = |byte: &u8| byte.is_ascii_digit();
        let len = match self.rest {
            [] => return None,
            [b'+' | b'-', rest @ ..] => 1 + rest.iter().take_while(|byte| digit(byte)).count(),
            [b'0'..=b'9', ..] => self.rest.iter().take_while(|byte| digit(byte)).count(),
            _ => self.rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count().max(1),
        };
        let (token, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(token)
    }

    fn skip(&mut self) {
        loop {
            match self.rest {
                [b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' | b'.', rest @ ..] => self.rest = rest,
                [b'(', rest @ ..] => self.rest = after_comment(rest),
                [b'-', rest @ ..] if self.hyphen_separates => self.rest = rest,
                _ => return,
            }
        }
    }
}

/// What follows the comment whose `(` was taken; nested ones count, a backslash takes the next byte (RFC 5322 §3.2.2).
/// An unfinished one ends with the text.
fn after_comment(text: &[u8]) -> &[u8] {
    let mut depth = 1u32;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    bytes.as_slice()
}

/// The token as a number of at most four digits.
fn number(token: &[u8]) -> Option<u32> {
    if token.is_empty() || token.len() > 4 || !token.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(token.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
}

/// Minutes east of UTC; what is unknown counts as UTC (RFC 5322 §4.3: "-0000").
fn minutes_east(zone: &[u8]) -> i16 {
    if let [sign @ (b'+' | b'-'), digits @ ..] = zone {
        let Some(number) = number(digits).filter(|_| digits.len() == 4) else { return 0 };
        let (hours, minutes) = (number / 100, number % 100);
        if hours > 23 || minutes > 59 {
            return 0;
        }
        let east = (hours * 60 + minutes) as i16;
        return if *sign == b'-' { -east } else { east };
    }
    const NAMES: [(&[u8], i16); 8] = [
        (b"EST", -5),
        (b"EDT", -4),
        (b"CST", -6),
        (b"CDT", -5),
        (b"MST", -7),
        (b"MDT", -6),
        (b"PST", -8),
        (b"PDT", -7),
    ];
    NAMES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(zone))
        .map_or(0, |(_, hours)| hours * 60)
}
