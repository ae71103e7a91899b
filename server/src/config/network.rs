//! Networks, as `trusted_networks` names them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IP network: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    /// Leading bits that count.
    prefix: u32,
}

impl Network {
    /// Whether `ip` is in it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let rest = 32 - self.prefix;
                own.to_bits().checked_shr(rest) == ip.to_bits().checked_shr(rest)
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let rest = 128 - self.prefix;
                own.to_bits().checked_shr(rest) == ip.to_bits().checked_shr(rest)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Whether it is every address there is.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.prefix == 0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no network; write 192.0.2.0/24, 2001:db8::/32 or one address");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(prefix) => prefix.parse().ok().filter(|n| *n <= bits).ok_or_else(wrong)?,
        };
        let host = match address {
            IpAddr::V4(ip) => ip.to_bits().checked_shl(prefix).unwrap_or(0) != 0,
            IpAddr::V6(ip) => ip.to_bits().checked_shl(prefix).unwrap_or(0) != 0,
        };
        if host && prefix < bits {
            // Somebody meant either more or less than this.
            return Err(format!(
                "{text:?} has bits set behind its first {prefix}; write the network's own address"
            ));
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("192.0.2.0/24", "::ffff:192.0.2.1", "::ffff:192.0.3.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "ffff::", "192.0.2.1"),
            ("::1", "::1", "::2"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        for wrong in ["", "x", "192.0.2.0/33", "::/129", "192.0.2.0/-1", "192.0.2.1/24", "::1/64"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
