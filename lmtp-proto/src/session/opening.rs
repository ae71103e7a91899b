//! LHLO and STARTTLS: what a connection begins with.

use super::{Session, State, no_arguments};
use crate::Time;
use crate::command;
use crate::fault::Fault;
use std::sync::Arc;

impl Session {
    pub(super) fn on_lhlo(&mut self, now: Time, arguments: &[u8]) -> Result<(), Fault> {
        let name = command::lhlo_name(arguments)?;
        // RFC 5321 §4.1.4: a second one acts as RSET, too.
        self.abandon();
        self.lhlo = Some(name.into());
        let config = Arc::clone(&self.config);
        self.put_parts(&["250-", &config.hostname]);
        self.put_parts(&["250-PIPELINING"]);
        self.put_parts(&["250-ENHANCEDSTATUSCODES"]);
        self.put_parts(&["250-8BITMIME"]);
        if config.binary {
            self.put_parts(&["250-BINARYMIME"]);
        }
        if config.utf8 {
            self.put_parts(&["250-SMTPUTF8"]);
        }
        if config.starttls && !self.peer.tls {
            self.put_parts(&["250-STARTTLS"]);
        }
        self.put_parts(&["250-CHUNKING"]);
        self.say(now, &format!("250 SIZE {}", config.limits.message));
        Ok(())
    }

    pub(super) fn on_starttls(&mut self, arguments: &[u8]) -> Result<(), Fault> {
        self.need_lhlo()?;
        if self.peer.tls {
            return Err(Fault::AlreadyTls);
        }
        if !self.config.starttls {
            return Err(Fault::NotOffered);
        }
        no_arguments(arguments)?;
        self.abandon();
        // The reply follows once it is known that nothing came behind the command.
        self.state = State::Upgrading;
        Ok(())
    }

    pub(super) fn need_lhlo(&self) -> Result<(), Fault> {
        if self.lhlo.is_some() { Ok(()) } else { Err(Fault::LhloFirst) }
    }
}
