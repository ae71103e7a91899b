use super::*;
use proptest::prelude::*;

/// Days since 1970 by counting years and months one at a time; shares nothing with `from_civil`.
fn counted(year: u32, month: u32, day: u32) -> i64 {
    let leap = |year: u32| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    let of_year = |year| if leap(year) { 366 } else { 365 };
    let years: i64 = if year >= 1970 {
        (1970..year).map(of_year).sum()
    } else {
        -(year..1970).map(of_year).sum::<i64>()
    };
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    years + lengths[..month as usize - 1].iter().sum::<i64>() + i64::from(day) - 1
}

fn utc(text: &str) -> Option<(String, i16)> {
    parse_message_date(text.as_bytes())
        .map(|date| (String::from_utf8(date.format().to_vec()).unwrap(), date.zone))
}

fn shown(text: &str) -> String {
    utc(text).map_or_else(|| "none".to_owned(), |(text, _)| text)
}

#[test]
fn first_and_last_day() {
    assert_eq!(Day::from_civil(0, 1, 1), Some(Day::FIRST));
    assert_eq!(Day::from_civil(9999, 12, 31), Some(Day::LAST));
    assert_eq!(Day(0).civil(), (1970, 1, 1));
    assert_eq!(Day(i32::MAX).civil(), (9999, 12, 31));
    assert_eq!(Day(i32::MIN).civil(), (0, 1, 1));
}

#[test]
fn days_no_calendar_has() {
    for (year, month, day) in
        [(2023, 2, 29), (1900, 2, 29), (2024, 4, 31), (2024, 0, 1), (2024, 13, 1), (2024, 1, 0)]
    {
        assert_eq!(Day::from_civil(year, month, day), None, "{year}-{month}-{day}");
    }
    assert!(Day::from_civil(2000, 2, 29).is_some());
}

#[test]
fn date_time_round_trips() {
    for text in
        ["17-Jul-1996 02:44:25 -0700", "01-Jan-1970 00:00:00 +0000", "31-Dec-9999 23:59:59 +1400"]
    {
        assert_eq!(DateTime::parse(text.as_bytes()).unwrap().format(), *text.as_bytes());
    }
    let spaced = DateTime::parse(b" 7-Jul-1996 02:44:25 -0700").unwrap();
    assert_eq!(&spaced.format(), b"07-Jul-1996 02:44:25 -0700");
    assert_eq!(DateTime::parse(b"17-Jul-1996 02:44:25 -0700").unwrap().seconds, 837_596_665);
}

#[test]
fn date_time_refuses() {
    let error = |text: &str| DateTime::parse(text.as_bytes()).unwrap_err().to_string();
    insta::assert_snapshot!(error(""), @"byte 0 of the date is not a digit");
    insta::assert_snapshot!(error("1-Jul-1996 02:44:25 -0700"), @"byte 1 of the date is not a digit");
    insta::assert_snapshot!(error("17-Jly-1996 02:44:25 -0700"), @"byte 3 of the date is not a month, Jan to Dec");
    insta::assert_snapshot!(error("31-Jun-1996 02:44:25 -0700"), @"the day is 31, allowed is 1 to 30");
    insta::assert_snapshot!(error("17-Jul-1996 24:44:25 -0700"), @"the hour is 24, allowed is 0 to 23");
    insta::assert_snapshot!(error("17-Jul-1996 02:44:25 0700"), @"byte 21 of the date is not + or -");
    insta::assert_snapshot!(error("17-Jul-1996 02:44:25 -0760"), @"the zone minute is 60, allowed is 0 to 59");
    insta::assert_snapshot!(error("17-Jul-1996 02:44:25 -0700 "), @"byte 26 of the date is not the end");
    insta::assert_snapshot!(error("17-Jul-1996 02:44:25"), @"byte 20 of the date is not a space");
}

#[test]
fn search_dates() {
    assert_eq!(Day::parse(b"1-Feb-1994"), Ok(Day(8797)));
    assert_eq!(Day::parse(b"01-fEB-1994"), Ok(Day(8797)));
    assert_eq!(Day::parse(b"\"1-Feb-1994\""), Ok(Day(8797)));
    for bad in
        ["", "1-Feb-94", "1 Feb 1994", "001-Feb-1994", "\"1-Feb-1994", "30-Feb-1994", "0-Feb-1994"]
    {
        assert!(Day::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn the_day_is_that_of_the_zone() {
    let late = DateTime::parse(b"31-Dec-1999 23:59:59 -1200").unwrap();
    assert_eq!(late.day().civil(), (1999, 12, 31));
    assert_eq!(DateTime { zone: 0, ..late }.day().civil(), (2000, 1, 1));
}

#[test]
fn message_dates() {
    insta::assert_snapshot!(shown("Fri, 21 Nov 1997 09:55:06 -0600"), @"21-Nov-1997 09:55:06 -0600");
    insta::assert_snapshot!(shown("21 Nov 97 09:55:06 GMT"), @"21-Nov-1997 09:55:06 +0000");
    insta::assert_snapshot!(shown("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600"), @"21-Nov-1997 09:55:06 -0600");
    insta::assert_snapshot!(shown("Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)"), @"13-Feb-1969 23:32:00 -0330");
    insta::assert_snapshot!(shown("21-Nov-1997 09:55:06 EST"), @"21-Nov-1997 09:55:06 -0500");
    insta::assert_snapshot!(shown("Friday, 1 January 102 0:00 UT"), @"01-Jan-2002 00:00:00 +0000");
    insta::assert_snapshot!(shown("1 Jan 49 00:00 +0000"), @"01-Jan-2049 00:00:00 +0000");
    insta::assert_snapshot!(shown("1 Jan 50 00:00 +0000"), @"01-Jan-1950 00:00:00 +0000");
    insta::assert_snapshot!(shown("1 Jan 2020"), @"01-Jan-2020 00:00:00 +0000");
    insta::assert_snapshot!(shown("1 Jan 2020 10:00:00 +9999"), @"01-Jan-2020 10:00:00 +0000");
    insta::assert_snapshot!(shown("29 Feb 2023 00:00 +0000"), @"none");
    insta::assert_snapshot!(shown("yesterday"), @"none");
    insta::assert_snapshot!(shown(""), @"none");
}

#[test]
fn row_40_a_date_full_of_comments_ends() {
    let open = "(".repeat(1 << 20);
    assert_eq!(utc(&open), None);
    assert_eq!(utc(&format!("1 Jan 2020 {open}")).unwrap().0, "01-Jan-2020 00:00:00 +0000");
    assert_eq!(utc("1 Jan 2020 (ends in a backslash\\").unwrap().0, "01-Jan-2020 00:00:00 +0000");
}

proptest! {
    #[test]
    fn days_agree_with_counting(year in 0u32..=9999, month in 1u32..=12, day in 1u32..=31) {
        match Day::from_civil(year, month, day) {
            Some(found) => {
                prop_assert_eq!(i64::from(found.0), counted(year, month, day));
                prop_assert_eq!(found.civil(), (year, month, day));
            }
            None => prop_assert!(day > 28),
        }
    }

    #[test]
    fn formatting_is_undone_by_parsing(seconds in -62_167_000_000i64..253_402_000_000, zone in -1439i16..=1439) {
        let date = DateTime { seconds, zone };
        prop_assert_eq!(DateTime::parse(&date.format()), Ok(date));
        prop_assert_eq!(parse_message_date(&date.format()), Some(date));
    }

    #[test]
    fn any_moment_formats(seconds: i64, zone: i16) {
        let date = DateTime { seconds, zone };
        prop_assert!(date.format().is_ascii());
        prop_assert!((Day::FIRST..=Day::LAST).contains(&date.day()));
    }

    #[test]
    fn no_text_panics(text: Vec<u8>) {
        let _ = (DateTime::parse(&text), Day::parse(&text), parse_message_date(&text));
    }
}
