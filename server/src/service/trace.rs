//! The header lines that final delivery puts before a message (RFC 5321 §4.4, RFC 2033 §5).

use super::id::DeliveryId;
use imap_proto::date::Day;
use lmtp_proto::Trace;
use std::fmt;
use std::io::Write;
use std::net::IpAddr;

/// What the lines of all recipients of a message say.
pub(super) struct Delivery<'a> {
    /// The reverse-path without its brackets; empty is the null one.
    pub(super) sender: &'a str,
    /// What the client said of itself.
    pub(super) trace: &'a Trace,
    /// Where it came from; `None` on a UNIX socket.
    pub(super) peer: Option<IpAddr>,
    /// This server.
    pub(super) hostname: &'a str,
    /// The name of the delivery in the logs.
    pub(super) id: &'a DeliveryId,
    /// Seconds since 1970.
    pub(super) now: u64,
}

impl Delivery<'_> {
    /// The lines for one recipient, each with CRLF. `recipient` is its address as RCPT named it.
    ///
    /// Nothing here can add a line: paths and LHLO names were checked to have no control characters, and the longest
    /// line stays below the 998 octets of RFC 5322 §2.1.1.
    pub(super) fn lines(&self, recipient: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let Self { sender, trace, hostname, id, .. } = self;
        let lines = format_args!(
            "Return-Path: <{sender}>\r\n\
             Delivered-To: {recipient}\r\n\
             Received: from {lhlo}{peer}\r\n\
             \tby {hostname} (Loft) with {with} id {id}\r\n\
             \tfor <{recipient}>; {date}\r\n",
            lhlo = trace.lhlo,
            peer = Literal(self.peer),
            with = trace.with(),
            date = MessageDate(self.now),
        );
        out.write_fmt(lines).expect("memory takes every byte");
        out
    }
}

/// ` ([192.0.2.1])`, the TCP-info of RFC 5321 §4.4; nothing for a UNIX socket.
struct Literal(Option<IpAddr>);

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => write!(f, " ([{ip}])"),
            Some(IpAddr::V6(ip)) => write!(f, " ([IPv6:{ip}])"), // RFC 5321 §4.1.3
            None => Ok(()),
        }
    }
}

/// Seconds since 1970 as the `date-time` of RFC 5322 §3.3, in UTC.
struct MessageDate(u64);

impl fmt::Display for MessageDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = Day(i32::try_from(days).unwrap_or(i32::MAX)).civil();
        let weekday = usize::try_from(days % 7).ok().and_then(|at| WEEKDAYS.get(at));
        let month = usize::try_from(month).ok().and_then(|at| MONTHS.get(at.wrapping_sub(1)));
        let (weekday, month) = weekday.zip(month).expect("a remainder by 7 and a month of 12");
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{weekday}, {day} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::id::Ids;

    fn lines(peer: Option<&str>, utf8: bool) -> String {
        let trace = Trace { lhlo: "mx.example.org".into(), tls: peer.is_none(), utf8 };
        let id = Ids::new(1_800_000_000).session().delivery(1);
        let delivery = Delivery {
            sender: "a@example.org",
            trace: &trace,
            peer: peer.map(|ip| ip.parse().unwrap()),
            hostname: "mail.example.net",
            id: &id,
            now: 951_782_400,
        };
        String::from_utf8(delivery.lines("U1+lists@example.net")).unwrap()
    }

    #[test]
    fn every_recipient_gets_its_trace() {
        insta::assert_snapshot!(lines(Some("192.0.2.1"), false), @r"
        Return-Path: <a@example.org>
        Delivered-To: U1+lists@example.net
        Received: from mx.example.org ([192.0.2.1])
        	by mail.example.net (Loft) with LMTP id tro8w0-1.1
        	for <U1+lists@example.net>; Tue, 29 Feb 2000 00:00:00 +0000
        ");
        assert!(
            lines(Some("::1"), true)
                .contains("([IPv6:::1])\r\n\tby mail.example.net (Loft) with UTF8LMTP id ")
        );
        assert!(lines(Some("::ffff:192.0.2.1"), false).contains("([192.0.2.1])"));
        assert!(
            lines(None, false)
                .contains("from mx.example.org\r\n\tby mail.example.net (Loft) with LMTPS id ")
        );
    }

    #[test]
    fn every_line_ends_in_crlf() {
        let text = lines(Some("192.0.2.1"), false);
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        assert!(text.ends_with("\r\n"));
    }

    #[test]
    fn dates_are_those_of_mail() {
        for (seconds, text) in [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (1_000_000_000, "Sun, 9 Sep 2001 01:46:40 +0000"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"),
        ] {
            assert_eq!(MessageDate(seconds).to_string(), text);
        }
    }
}
