//! What single settings can't say: what goes together, and what is not safe.

use super::read::Found;
use super::{Config, Level, Listen, Problem, Service};
use crate::service::Plaintext;
use runtime_smol::Address;
use std::net::IpAddr;

/// Checks what was read.
pub(super) fn whole(config: &Config, found: &Found, problems: &mut Vec<Problem>) {
    let mut check = Check { found, problems };
    if config.listen.is_empty() && !found.has("listen") {
        check.error(
            "listen",
            "there is no [[listen]]: the server would be reached by nobody".into(),
        );
    }
    if config.sources.is_empty() && !found.has("auth.source") {
        check.error("auth", "there is no [[auth.source]]: nobody could log in".into());
    }
    for (n, listen) in config.listen.iter().enumerate() {
        check.listen(config, n, listen);
    }
    for (n, path) in config.sources.iter().enumerate() {
        if config.sources.iter().take(n).any(|other| other == path) {
            let text = format!("{} is a source already", path.display());
            check.error(&format!("auth.source.{n}.path"), text);
        }
    }
    if config.tls.is_none()
        && !found.has("tls")
        && config.listen.iter().any(|listen| !is_local(&listen.address))
    {
        check.warn(
            "tls",
            "there is no [tls]: clients elsewhere get a certificate that nobody signed, and can't tell the server from \
            another"
                .into(),
        );
    }
    if config.limits.trusted_networks.iter().any(super::Network::is_everybody) {
        check.warn(
            "limits.trusted_networks",
            "everybody on the internet may guess passwords without a delay, over as many connections as there are".into(),
        );
    }
    let remote_imap =
        |listen: &Listen| listen.service == Service::Imap && !is_local(&listen.address);
    if config.plaintext == Plaintext::Always && config.listen.iter().any(remote_imap) {
        check.warn(
            "auth.plaintext",
            "passwords may come without TLS from everywhere: whoever sees the network sees them; \"loopback\" is safe"
                .into(),
        );
    }
}

struct Check<'a> {
    found: &'a Found,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn error(&mut self, path: &str, text: String) {
        self.problems.push(Problem { level: Level::Error, at: self.found.at(path), text });
    }

    fn warn(&mut self, path: &str, text: String) {
        self.problems.push(Problem { level: Level::Warning, at: self.found.at(path), text });
    }

    fn listen(&mut self, config: &Config, n: usize, listen: &Listen) {
        let path = |key: &str| format!("listen.{n}.{key}");
        if !self.found.is_good(&path("address")) || !self.found.is_good(&path("service")) {
            return; // said already
        }
        let address = &listen.address;
        let free_port = matches!(address, Address::Tcp(address) if address.port() == 0);
        let before = config.listen.iter().take(n);
        if !free_port && before.clone().any(|other| other.address == *address) {
            self.error(&path("address"), format!("{address} is listened on already"));
        }
        let is_unix = matches!(address, Address::Unix(_));
        if self.found.has(&path("mode")) && !is_unix {
            self.error(&path("mode"), "only a UNIX socket (unix:PATH) has a mode".into());
        }
        if self.found.has(&path("owner")) && !is_unix {
            self.error(&path("owner"), "only a UNIX socket (unix:PATH) has an owner".into());
        }
        let trusted = &listen.trusted_networks;
        if self.found.has(&path("trusted_networks")) {
            if listen.service != Service::Lmtp {
                let text = "only LMTP goes by trusted_networks; IMAP asks for a password".into();
                self.error(&path("trusted_networks"), text);
            } else if is_unix {
                let text =
                    "a UNIX socket has no networks; its mode and its directory say who may connect"
                        .into();
                self.error(&path("trusted_networks"), text);
            } else if trusted.iter().any(super::Network::is_everybody) {
                let text = "everybody on the internet may put mail into every mailbox here".into();
                self.warn(&path("trusted_networks"), text);
            }
        }
        let wrong = self.found.has(&path("trusted_networks"))
            && !self.found.is_good(&path("trusted_networks"));
        if listen.service == Service::Lmtp && trusted.is_empty() && !wrong && !is_local(address) {
            self.error(
                &path("address"),
                format!(
                    "LMTP knows no log-in: on {address} everybody who gets there could put mail into every mailbox; \
                    listen on \"127.0.0.1:24\" or \"unix:PATH\", or name those who may connect with trusted_networks = \
                    [\"192.0.2.7\"]"
                ),
            );
        }
    }
}

/// Whether only this machine gets there. What systemd listens on is known at the start only, and looked at then.
fn is_local(address: &Address) -> bool {
    match address {
        Address::Tcp(address) => match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        },
        Address::Unix(_) | Address::Systemd(_) => true,
    }
}
