//! Greeting, capabilities, log-in, TLS (RFC 3501 §6.1, §6.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::tell::{Reply, Tell};
use super::{Phase, Session, Work};
use crate::ask::{Answer, Ask, Code};
use crate::capabilities;
use crate::parse::{Cursor, Error, Names};
use crate::types::{Secret, Time, wipe};

/// AUTHENTICATE between lines; lives and dies with its session (one that goes wrong disturbs no other).
#[derive(Debug)]
pub(super) enum Sasl {
    /// RFC 4616: one message with everything.
    Plain,
    /// The user's name is due.
    LoginUser,
    /// The password is due.
    LoginPassword(Vec<u8>),
}

impl Sasl {
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Plain | Self::LoginUser => 0,
            Self::LoginPassword(user) => user.capacity(),
        }
    }
}

impl Session {
    pub(super) fn greet(&mut self) {
        let guest = matches!(self.phase, Phase::Guest);
        self.out.put(if guest { b"* OK [CAPABILITY" } else { b"* PREAUTH [CAPABILITY" });
        self.write_capabilities();
        self.out.put(b"] Loft ready\r\n");
    }

    pub(super) fn on_capability(&mut self) {
        self.out.put(b"* CAPABILITY");
        self.write_capabilities();
        self.out.put(b"\r\n");
        self.finish(Reply::ok("Done"));
    }

    fn write_capabilities(&mut self) {
        let guest = matches!(self.phase, Phase::Guest);
        let (config, peer) = (&self.config, self.peer);
        self.out.write(|out| capabilities::write(out, config, peer, guest));
    }

    /// RFC 2971: we say who we are, and don't look at who the client says it is.
    pub(super) fn on_id(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        cursor.space()?;
        if !cursor.skip(b"NIL") {
            // RFC 2971 §3.3: at most 30 pairs.
            let mut left = 60;
            cursor.list(true, |cursor| {
                left -= 1;
                if left < 0 {
                    return Err(Error::Limit("ID fields"));
                }
                if !cursor.skip(b"NIL") {
                    cursor.string()?;
                }
                Ok(())
            })?;
        }
        cursor.end()?;
        self.out.put(b"* ID (\"name\" \"Loft\")\r\n");
        self.finish(Reply::ok("Done"));
        Ok(())
    }

    pub(super) fn on_starttls(&mut self, more: bool) -> Result<(), Error> {
        if self.peer.tls {
            return Err(Error::State("TLS is already active"));
        }
        if !self.config.tls_available {
            return Err(Error::State("TLS is not available"));
        }
        if more {
            // Bytes behind STARTTLS were not sent by a client that waits for our OK: somebody put them there.
            self.close();
            return Ok(());
        }
        let tag = self.tag;
        self.out.write(|out| Reply::ok("Begin TLS").write(out, tag));
        self.work = Work::Upgrade;
        Ok(())
    }

    /// LOGIN (RFC 3501 §6.2.3).
    pub(super) fn on_login(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        cursor.space()?;
        let user = cursor.astring()?;
        cursor.space()?;
        let password = cursor.astring()?;
        cursor.end()?;
        if self.refuses_passwords() {
            return Ok(());
        }
        self.log_in(user.into_owned(), Secret::new(password.into_owned()));
        Ok(())
    }

    /// AUTHENTICATE (RFC 3501 §6.2.2), with an initial response (RFC 4959).
    pub(super) fn on_authenticate(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        cursor.space()?;
        let mechanism = cursor.atom("a mechanism")?;
        let sasl = if mechanism.eq_ignore_ascii_case(b"PLAIN") {
            Sasl::Plain
        } else if mechanism.eq_ignore_ascii_case(b"LOGIN") {
            Sasl::LoginUser
        } else {
            self.finish(Reply::no(Some(Code::Cannot), "Mechanism is not supported"));
            return Ok(());
        };
        let initial = if cursor.skip(b" ") { Some(cursor.rest()) } else { None };
        if initial.is_none() {
            cursor.end()?;
        }
        if self.refuses_passwords() {
            return Ok(());
        }
        match initial {
            // RFC 4959 §3: a response without bytes is written so.
            Some(b"=") => self.on_sasl(sasl, b""),
            Some(b"") => return Err(Error::Expected("base64")),
            Some(line) => self.on_sasl_base64(sasl, line),
            None => {
                match sasl {
                    Sasl::Plain => self.out.put(b"+ \r\n"),
                    // "Username:"; there is no RFC, all clients know it.
                    Sasl::LoginUser | Sasl::LoginPassword(_) => self.out.put(b"+ VXNlcm5hbWU6\r\n"),
                }
                self.work = Work::Sasl(sasl);
            }
        }
        Ok(())
    }

    pub(super) fn on_sasl_line(&mut self, line: &[u8]) {
        let Work::Sasl(sasl) = std::mem::replace(&mut self.work, Work::Nothing) else { return };
        if line == b"*" {
            // RFC 3501 §6.2.2: cancelled by the client.
            self.finish(Reply::bad("Cancelled"));
        } else {
            self.on_sasl_base64(sasl, line);
        }
    }

    fn on_sasl_base64(&mut self, sasl: Sasl, line: &[u8]) {
        match STANDARD.decode(line) {
            Ok(mut bytes) => {
                self.on_sasl(sasl, &bytes);
                wipe(&mut bytes);
            }
            Err(_) => self.fail(Error::Expected("base64")),
        }
    }

    fn on_sasl(&mut self, sasl: Sasl, message: &[u8]) {
        match sasl {
            Sasl::Plain => match plain(message) {
                Some((authzid, user, password)) if authzid.is_empty() || authzid == user => {
                    self.log_in(user.to_vec(), Secret::new(password.to_vec()));
                }
                Some(_) => {
                    self.finish(Reply::no(
                        Some(Code::AuthorizationFailed),
                        "Acting as another user is not allowed",
                    ));
                }
                None => self.fail(Error::Expected("a PLAIN message")),
            },
            Sasl::LoginUser => {
                self.out.put(b"+ UGFzc3dvcmQ6\r\n");
                self.work = Work::Sasl(Sasl::LoginPassword(message.to_vec()));
            }
            Sasl::LoginPassword(user) => self.log_in(user, Secret::new(message.to_vec())),
        }
    }

    /// Where passwords must not be sent they are not looked at (RFC 3501 §6.2.3).
    fn refuses_passwords(&mut self) -> bool {
        let refused = !capabilities::passwords(&self.config, self.peer);
        if refused {
            self.finish(Reply::no(Some(Code::PrivacyRequired), "Start TLS first"));
        }
        refused
    }

    fn log_in(&mut self, user: Vec<u8>, password: Secret) {
        self.ask(Ask::Login { user, password });
        self.work = Work::Login;
    }

    pub(super) fn on_login_answer(&mut self, now: Time, answer: Answer) {
        if let Answer::LoggedIn = answer {
            self.phase = Phase::User;
            self.times.command = now;
            self.login_failures = 0;
            let mut code = b"CAPABILITY".to_vec();
            capabilities::write(&mut code, &self.config, self.peer, false);
            let code = String::from_utf8(code).unwrap_or_default();
            self.told.push_back(Tell::Reply(Reply::ok_with(code, "Logged in")));
            return;
        }
        // RFC 5530 §3: the server couldn't look. Nobody has guessed a password, so it doesn't count.
        let guessed = !matches!(answer, Answer::No { code: Some(Code::Unavailable), .. });
        let reply = if let Answer::No { code: None, text } = answer {
            Reply::no(Some(Code::AuthenticationFailed), text)
        } else {
            Reply::refusal(answer)
        };
        self.login_failures += u32::from(guessed);
        if self.login_failures >= self.limits().login_failures {
            let tag = self.tag;
            self.out.write(|out| reply.write(out, tag));
            self.bye(None, "Too many failed log-ins");
        } else {
            self.finish(reply);
        }
    }

    /// ENABLE (RFC 5161): what we don't know is left out of the answer.
    pub(super) fn on_enable(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        let (mut rev2, mut condstore) = (false, false);
        loop {
            cursor.space()?;
            let name = cursor.atom("a capability")?;
            if self.config.imap4rev2 && name.eq_ignore_ascii_case(b"IMAP4rev2") {
                rev2 = true;
            }
            condstore |= name.eq_ignore_ascii_case(b"CONDSTORE");
            if cursor.end().is_ok() {
                break;
            }
        }
        self.out.put(b"* ENABLED");
        if rev2 {
            self.names = Names::Rev2;
            self.out.put(b" IMAP4rev2");
            // RFC 9051 appendix E: \Recent is gone, also where a mailbox is selected already.
            if let Phase::Selected(mailbox) = &mut self.phase {
                mailbox.recent = std::sync::Arc::default();
            }
        }
        if condstore {
            self.enable_condstore();
            self.out.put(b" CONDSTORE");
        }
        self.out.put(b"\r\n");
        self.finish(Reply::ok("Done"));
        Ok(())
    }
}

/// `authzid NUL authcid NUL passwd` (RFC 4616 §2).
fn plain(message: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut parts = message.split(|byte| *byte == 0);
    let (authzid, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && !user.is_empty()).then_some((authzid, user, password))
}
