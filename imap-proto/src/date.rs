//! Dates and times of IMAP and of messages (RFC 9051 §9 `date`, `date-time`; RFC 5322 §3.3, §4.3).
//!
//! Invariants:
//! - Nothing here reads a clock or a time zone database: a time is seconds since 1970 plus the zone it was written in.
//! - Every parser is one pass over bounded input and allocates nothing.

mod message;

pub use message::{parse_message_date, parse_sent_date};

/// A moment and the zone it was written in.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct DateTime {
    /// Seconds since 1970-01-01 00:00:00 UTC; negative before.
    pub seconds: i64,
    /// Minutes east of UTC, −1439 to 1439.
    pub zone: i16,
}

/// A civil date, as days since 1970-01-01 (proleptic Gregorian); what SEARCH compares.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Day(pub i32);

/// Why text is not a date.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text differs from the grammar.
    #[error("byte {at} of the date is not {wanted}")]
    Syntax {
        /// Offset into the text.
        at: usize,
        /// What the grammar wants there.
        wanted: &'static str,
    },
    /// A number is outside its range.
    #[error("the {field} is {found}, allowed is {min} to {max}")]
    Range {
        /// Which number.
        field: &'static str,
        /// Its value.
        found: u32,
        /// Smallest value allowed.
        min: u32,
        /// Largest value allowed.
        max: u32,
    },
}

impl DateTime {
    /// Bytes [`DateTime::format`] returns.
    pub const LEN: usize = 26;

    /// Parses `date-time` without its quotes: `17-Jul-1996 02:44:25 -0700`, `" 7-Jul-1996 02:44:25 +0000"`.
    pub fn parse(text: &[u8]) -> Result<DateTime, Error> {
        let mut reader = Reader { text, at: 0 };
        // RFC 9051 §9: date-day-fixed = (SP DIGIT) / 2DIGIT
        let day = match reader.peek() {
            Some(b' ') => {
                reader.at += 1;
                reader.digits(1)?
            }
            _ => reader.digits(2)?,
        };
        let date = reader.month_and_year(day)?;
        reader.byte(b' ', "a space")?;
        let hour = range("hour", reader.digits(2)?, 0, 23)?;
        reader.byte(b':', "a colon")?;
        let minute = range("minute", reader.digits(2)?, 0, 59)?;
        reader.byte(b':', "a colon")?;
        let second = range("second", reader.digits(2)?, 0, 60)?; // 60: a leap second, counted as the next one
        reader.byte(b' ', "a space")?;
        let east = match reader.next() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(Error::Syntax { at: reader.at.saturating_sub(1), wanted: "+ or -" }),
        };
        let zone_hours = range("zone hour", reader.digits(2)?, 0, 23)?;
        let zone_minutes = range("zone minute", reader.digits(2)?, 0, 59)?;
        reader.end()?;
        let zone = east * (zone_hours * 60 + zone_minutes) as i16;
        Ok(DateTime::new(date, hour, minute, second, zone))
    }

    /// The moment written as this date and time of day in a zone, given in minutes east of UTC.
    pub fn new(day: Day, hour: u32, minute: u32, second: u32, zone: i16) -> DateTime {
        let of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        DateTime { seconds: i64::from(day.0) * 86_400 + of_day - i64::from(zone) * 60, zone }
    }

    /// The date in the zone it was written in, which is what SEARCH compares (RFC 9051 §6.4.4: "disregarding time
    /// and timezone").
    pub fn day(self) -> Day {
        let days = self.local().div_euclid(86_400);
        Day(days.clamp(i64::from(Day::FIRST.0), i64::from(Day::LAST.0)) as i32)
    }

    /// Writes `17-Jul-1996 02:44:25 -0700`, without quotes. A year beyond 0 to 9999 shows as the nearest of them.
    pub fn format(self) -> [u8; Self::LEN] {
        let local = self
            .local()
            .clamp(i64::from(Day::FIRST.0) * 86_400, i64::from(Day::LAST.0) * 86_400 + 86_399);
        let (year, month, day) = Day(local.div_euclid(86_400) as i32).civil();
        let second = local.rem_euclid(86_400) as u32;
        let [m0, m1, m2] = month_name(month);
        let [y0, y1] = two(year / 100);
        let [y2, y3] = two(year % 100);
        let [d0, d1] = two(day);
        let [h0, h1] = two(second / 3600);
        let [n0, n1] = two(second / 60 % 60);
        let [s0, s1] = two(second % 60);
        let sign = if self.zone < 0 { b'-' } else { b'+' };
        let east = u32::from(self.zone.unsigned_abs());
        let [e0, e1] = two(east / 60);
        let [e2, e3] = two(east % 60);
        [
            d0, d1, b'-', m0, m1, m2, b'-', y0, y1, y2, y3, b' ', h0, h1, b':', n0, n1, b':', s0,
            s1, b' ', sign, e0, e1, e2, e3,
        ]
    }

    /// Seconds of the clock on the wall.
    fn local(self) -> i64 {
        self.seconds.saturating_add(i64::from(self.zone) * 60)
    }
}

impl Day {
    /// 1 January of the year 0.
    pub const FIRST: Day = Day(-719_528);
    /// 31 December of the year 9999.
    pub const LAST: Day = Day(2_932_896);

    /// Parses `date-text`: `1-Feb-1994`, `01-Feb-1994`, in quotes or without (RFC 9051 §9 `date`).
    pub fn parse(text: &[u8]) -> Result<Day, Error> {
        let inner = match text {
            [b'"', inner @ .., b'"'] => inner,
            bare => bare,
        };
        let mut reader = Reader { text: inner, at: 0 };
        let mut day = reader.digits(1)?;
        if reader.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            day = day * 10 + reader.digits(1)?;
        }
        let date = reader.month_and_year(day)?;
        reader.end()?;
        Ok(date)
    }

    /// The day of a civil date, or `None` when no calendar has it.
    pub fn from_civil(year: u32, month: u32, day: u32) -> Option<Day> {
        if year > 9999 || day == 0 || day > days_in_month(year, month)? {
            return None;
        }
        // Years are counted from March, so that the leap day is the last; eras are 400 years of 146,097 days.
        let (year, month) =
            if month > 2 { (year + 400, month - 3) } else { (year + 399, month + 9) };
        let (era, of_era) = (year / 400, year % 400);
        let day_of_year = (153 * month + 2) / 5 + day - 1;
        let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
        Some(Day((era * 146_097 + day_of_era) as i32 - 146_097 - 719_468))
    }

    /// Year, month from 1 and day from 1. Days beyond 0000 to 9999 give the nearest.
    pub fn civil(self) -> (u32, u32, u32) {
        let days = self.0.clamp(Self::FIRST.0, Self::LAST.0);
        let days = (days + 719_468 + 146_097) as u32;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * of_era + of_era / 4 - of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let (month, carry) =
            if from_march < 10 { (from_march + 3, 0) } else { (from_march - 9, 1) };
        (era * 400 + of_era + carry - 400, month, day)
    }
}

/// Days of a month counted from 1, or `None` when there is no such month.
fn days_in_month(year: u32, month: u32) -> Option<u32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

const MONTHS: [[u8; 3]; 12] = [
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct",
    *b"Nov", *b"Dec",
];

fn month_name(month: u32) -> [u8; 3] {
    *MONTHS.get(month as usize - 1).expect("`civil` gives months 1 to 12")
}

/// The month, from 1, that begins with these three letters in any case.
fn month_number(name: &[u8]) -> Option<u32> {
    let month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    Some(month as u32 + 1)
}

fn two(number: u32) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

fn range(field: &'static str, found: u32, min: u32, max: u32) -> Result<u32, Error> {
    if (min..=max).contains(&found) {
        Ok(found)
    } else {
        Err(Error::Range { field, found, min, max })
    }
}

/// A strict reader over the fixed forms of IMAP.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn byte(&mut self, byte: u8, wanted: &'static str) -> Result<(), Error> {
        if self.peek() != Some(byte) {
            return Err(Error::Syntax { at: self.at, wanted });
        }
        self.at += 1;
        Ok(())
    }

    /// Exactly `count` digits.
    fn digits(&mut self, count: usize) -> Result<u32, Error> {
        let mut number = 0;
        for _ in 0..count {
            match self.peek() {
                Some(byte @ b'0'..=b'9') => number = number * 10 + u32::from(byte - b'0'),
                _ => return Err(Error::Syntax { at: self.at, wanted: "a digit" }),
            }
            self.at += 1;
        }
        Ok(number)
    }

    /// `"-" date-month "-" date-year` after the day of the month.
    fn month_and_year(&mut self, day: u32) -> Result<Day, Error> {
        self.byte(b'-', "a hyphen")?;
        let name = self.text.get(self.at..self.at + 3).and_then(month_number);
        let month = name.ok_or(Error::Syntax { at: self.at, wanted: "a month, Jan to Dec" })?;
        self.at += 3;
        self.byte(b'-', "a hyphen")?;
        let year = self.digits(4)?;
        let max = days_in_month(year, month).expect("month_number gives months 1 to 12");
        Day::from_civil(year, month, day).ok_or(Error::Range {
            field: "day",
            found: day,
            min: 1,
            max,
        })
    }

    fn end(&self) -> Result<(), Error> {
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(Error::Syntax { at: self.at, wanted: "the end" })
        }
    }
}

#[cfg(test)]
mod tests;
