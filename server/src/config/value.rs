//! Values of settings, as people write them.

use runtime_smol::Address;
use std::net::SocketAddr;

const SIZES: [(&str, u64); 5] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("bytes", 1), ("B", 1)];
const TIMES: [(&str, u64); 5] =
    [("d", DAY), ("h", 3_600_000), ("min", 60_000), ("ms", 1), ("s", 1000)];
const DAY: u64 = 86_400_000;

/// Bytes, from `64 KiB` and the like.
pub(super) fn size(text: &str) -> Option<u64> {
    with_unit(text, &SIZES)
}

/// Milliseconds, from `30 s` and the like.
pub(crate) fn time(text: &str) -> Option<u64> {
    with_unit(text, &TIMES)
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (_, number, unit) = units.iter().find_map(|(name, unit)| {
        let number = text.strip_suffix(name)?.trim_end();
        Some((name, number.parse::<u64>().ok()?, unit))
    })?;
    number.checked_mul(*unit)
}

/// `64 KiB` and the like: the largest unit that needs no fraction.
pub(super) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES, "B")
}

/// `30 s` and the like.
pub(super) fn show_time(millis: u64) -> String {
    let units = [("d", DAY), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];
    // One day is 24 h to most people.
    let units = units.get(usize::from(millis < 2 * DAY)..).unwrap_or_default();
    show(millis, units, "s")
}

/// The units that a time up to so many milliseconds is written in, in words.
pub(super) fn time_units(max: u64) -> &'static str {
    if max < 2 * DAY { "ms, s, min or h" } else { "ms, s, min, h or d" }
}

fn show(value: u64, units: &[(&str, u64)], zero: &str) -> String {
    let fits = units.iter().find(|(_, unit)| value > 0 && value.is_multiple_of(*unit));
    match fits {
        Some((name, unit)) => format!("{} {name}", value / unit),
        None => format!("{value} {zero}"),
    }
}

/// `HOST:PORT` with a number for HOST, `unix:PATH` or `systemd:NAME`.
pub(super) fn address(text: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path.starts_with('/') {
            true => Ok(Address::Unix(path.into())),
            false => Err(
                "a UNIX socket is written unix:PATH with a whole path, such as unix:/run/loft/lmtp"
                    .into(),
            ),
        };
    }
    if let Some(name) = text.strip_prefix("systemd:") {
        // systemd.socket(5), FileDescriptorName=
        let allowed = |c: char| c.is_ascii_graphic() && c != ':';
        return match name.chars().all(allowed) && (1..=255).contains(&name.len()) {
            true => Ok(Address::Systemd(name.to_owned())),
            false => Err("systemd's sockets are written systemd:NAME, with the FileDescriptorName= of their unit".into()),
        };
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Address::Tcp(address));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!(
            "{text:?} is no address; write HOST:PORT, such as \"[::]:143\", or unix:PATH"
        ));
    };
    if port.parse::<u16>().is_err() {
        return Err(format!("\"{port}\" is not a port; those are 0 to 65535"));
    }
    if host.is_empty() {
        return Err(format!(
            "the host is missing; \"[::]:{port}\" means all addresses of this machine"
        ));
    }
    if host.contains(':') && !host.starts_with('[') {
        return Err(format!("an IPv6 address stands in brackets: \"[{host}]:{port}\""));
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Err(format!(
            "write \"127.0.0.1:{port}\" or \"[::1]:{port}\": names are not looked up"
        ));
    }
    Err(format!(
        "\"{host}\" is no IP address, and names are not looked up; write one, or \"[::]:{port}\" for all"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_and_times_have_units() {
        for (text, bytes) in [
            ("64 KiB", Some(65536)),
            ("1MiB", Some(1 << 20)),
            ("5 B", Some(5)),
            ("5 bytes", Some(5)),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
        for (text, millis) in [
            ("30 s", Some(30_000)),
            ("5ms", Some(5)),
            ("2 min", Some(120_000)),
            ("1 h", Some(3_600_000)),
        ] {
            assert_eq!(time(text), millis, "{text}");
        }
        for wrong in ["", "1", "KiB", "1 kB", "-1 KiB", "1.5 MiB", "99999999999999 GiB", "1 S"] {
            assert_eq!((size(wrong), time(wrong)), (None, None), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(n: u64) {
            prop_assert_eq!(size(&show_size(n)), Some(n));
            prop_assert_eq!(time(&show_time(n)), Some(n));
        }
    }
}
