//! `allow_nets` of a passwd-file: where somebody may log in from.

use crate::config::Network;
use std::net::IpAddr;

/// A list of networks, and `local` for UNIX sockets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Nets {
    networks: Vec<Network>,
    local: bool,
}

impl Nets {
    /// The list as it stands behind `allow_nets=`: separated by commas.
    ///
    /// # Errors
    /// What is no network. A list without any would keep everybody out, and is an error too.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut nets = Self::default();
        for part in text.split(',') {
            match part {
                "local" => nets.local = true,
                network => nets.networks.push(network.parse()?),
            }
        }
        Ok(nets)
    }

    /// Whether who comes from `ip` may; `None` is a UNIX socket.
    #[must_use]
    pub fn admits(&self, ip: Option<IpAddr>) -> bool {
        match ip {
            Some(ip) => self.networks.iter().any(|network| network.contains(ip)),
            None => self.local,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_networks_and_this_machine() {
        let nets = Nets::parse("192.0.2.0/24,2001:db8::/32,198.51.100.7,local").unwrap();
        let ip = |text: &str| Some(text.parse().unwrap());
        for inside in ["192.0.2.9", "::ffff:192.0.2.9", "2001:db8::1", "198.51.100.7"] {
            assert!(nets.admits(ip(inside)), "{inside}");
        }
        for outside in ["192.0.3.9", "2001:db9::1", "198.51.100.8", "127.0.0.1", "::1"] {
            assert!(!nets.admits(ip(outside)), "{outside}");
        }
        assert!(nets.admits(None) && !Nets::parse("0.0.0.0/0").unwrap().admits(None));
        for wrong in ["", ",", "192.0.2.0/33", "home", "192.0.2.1 192.0.2.2"] {
            assert!(Nets::parse(wrong).unwrap_err().contains("is no network"), "{wrong:?}");
        }
    }
}
