//! `loft demo`: a server with a few accounts that share a password.

use crate::accounts;
use crate::assembly::{self, Bound, Error, Plan, Socket};
use crate::cli;
use crate::config::{Limits, Log, Service};
use crate::logging;
use crate::service::{Plaintext, Settings};
use crate::store::StoreConfig;
use runtime_smol::Address;
use std::net::SocketAddr;
use std::sync::Arc;
use tracing::info;

/// Who may connect to a UNIX socket: everybody who gets to its directory, as everybody on this machine can connect to a
/// port on 127.0.0.1. Mail transfer agents run as users of their own.
const UNIX_MODE: u32 = 0o666;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When it can't start; nothing runs then.
pub fn run(settings: &cli::Demo) -> Result<(), Error> {
    let logging = logging::start(Log::default());
    let hostname = assembly::hostname();
    let store = StoreConfig::default();
    let socket = |option: &str, service, address| Socket {
        named: option.to_owned(),
        service,
        address,
        mode: UNIX_MODE,
        owner: None,
        trusted: Vec::new(),
    };
    let plan = Plan {
        data: &settings.data,
        data_named: "--data",
        hostname: &hostname,
        sockets: vec![
            socket("--imap", Service::Imap, Address::Tcp(settings.imap)),
            socket("--imaps", Service::Imaps, Address::Tcp(settings.imaps)),
            socket("--lmtp", Service::Lmtp, settings.lmtp.clone()),
        ],
        certificate: None,
        accounts: Arc::new(accounts::Demo::new(settings.accounts, &settings.password)),
        settings: Settings::new(
            &hostname,
            store.message_max,
            Plaintext::default(),
            imap_proto::Limits::default(),
            lmtp_proto::Limits::default(),
        ),
        store,
        limits: Limits::default(),
    };
    let ready = |bound: &[Bound]| {
        if let Some(Bound { address: Address::Tcp(imap), .. }) = bound.first() {
            eprint!("{}", hint(*imap, &settings.password));
        }
    };
    assembly::run(plan, &logging, ready, |_| {
        info!("SIGHUP: there is no configuration file to read again")
    })
}

/// How to put in a first mail. Only the default password is shown.
fn hint(imap: SocketAddr, password: &str) -> String {
    let password = if password == cli::PASSWORD { password } else { "PASSWORD" };
    format!(
        "Put in a first mail and read it:\n  \
         printf 'Subject: Hello\\r\\n\\r\\nIt works.\\r\\n' > hello.eml\n  \
         curl --url imap://{imap}/INBOX -u u1:{password} -T hello.eml\n  \
         curl --url 'imap://{imap}/INBOX;MAILINDEX=1' -u u1:{password}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_shows_only_the_default_password() {
        let at = "127.0.0.1:1143".parse().unwrap();
        assert!(hint(at, cli::PASSWORD).contains("-u u1:pw -T hello.eml"));
        assert!(!hint(at, "hunter2").contains("hunter2"));
    }
}
