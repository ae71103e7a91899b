//! An IMAP client for the server's own control socket, as far as moving mail needs one.
//!
//! It speaks to a server of its own version, in UTF-8 (`ENABLE IMAP4rev2`), and may have several APPENDs under way.

use super::Error;
use super::response::{Response, Value};
use crate::control::client;
use crate::control::protocol::Command;
use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// The longest response that is held, in bytes, but for a message's text, which goes through.
const RESPONSE_MAX: usize = 16 << 20;
/// APPENDs under way at the same time: they share the syncs of the journal.
const UNDER_WAY: usize = 64;

/// A session in one account.
pub(super) struct Connection {
    data: PathBuf,
    input: BufReader<UnixStream>,
    output: BufWriter<UnixStream>,
    tags: u64,
    /// The longest message that is taken, in bytes (RFC 7889).
    limit: u64,
    /// Tags of the APPENDs not answered yet, and who asked.
    under_way: VecDeque<(String, u64)>,
}

impl Connection {
    /// Opens the account of `user` on the server that has its mail in `data`.
    pub(super) fn open(data: &Path, user: &str) -> Result<Self, Error> {
        let stream = client::connect(data, Command::Imap { user: user.to_owned() })?;
        let silent = |source| client::Error::Silent { data: data.to_owned(), source };
        let output = stream.try_clone().map_err(silent)?;
        let mut connection = Self {
            data: data.to_owned(),
            input: BufReader::with_capacity(64 << 10, stream),
            output: BufWriter::with_capacity(64 << 10, output),
            tags: 0,
            limit: u64::MAX,
            under_way: VecDeque::new(),
        };
        let greeting = connection.read()?;
        if let Some(why) = client::refusal(&greeting.bytes) {
            return Err(client::Error::Refused(why).into());
        }
        if !greeting.bytes.starts_with(b"* PREAUTH") {
            return Err(connection.odd(&greeting));
        }
        connection.limit = append_limit(&greeting.bytes).unwrap_or(u64::MAX);
        connection.command("ENABLE IMAP4rev2", |_| ())?;
        Ok(connection)
    }

    /// Ends the session; all that was asked has been answered.
    pub(super) fn log_out(mut self) {
        // Should it be gone already, that is what was wanted.
        let _gone = self.send("LOGOUT");
    }

    /// Sends a command and reads up to its reply, whose text is returned. `each` sees the responses before.
    pub(super) fn command(
        &mut self,
        command: &str,
        mut each: impl FnMut(&Response),
    ) -> Result<String, Error> {
        let tag = self.send(command)?;
        loop {
            let response = self.read()?;
            match response.reply_to(&tag) {
                Some(Ok(text)) => return Ok(text),
                Some(Err(why)) => {
                    return Err(Error::Refused { command: command.to_owned(), why });
                }
                None => each(&response),
            }
        }
    }

    /// Copies the text of a message in the selected mailbox to `out`. `false` when it is gone.
    pub(super) fn message(&mut self, uid: u32, out: &mut dyn Write) -> Result<bool, Error> {
        let command = format!("UID FETCH {uid} BODY.PEEK[]");
        let tag = self.send(&command)?;
        let mut found = false;
        loop {
            let mut line = self.line()?;
            let body = line.windows(7).any(|window| window == b"BODY[] ");
            if body && let Some(length) = literal(&line) {
                let copied = io::copy(&mut self.input.by_ref().take(length), out);
                if copied.map_err(Error::Write)? != length {
                    return Err(self.silent(io::ErrorKind::UnexpectedEof.into()));
                }
                self.line()?;
                found = true;
                continue;
            }
            self.rest(&mut line)?;
            match (Response { bytes: line }).reply_to(&tag) {
                Some(Ok(_)) => return Ok(found),
                Some(Err(why)) => return Err(Error::Refused { command, why }),
                // An empty message needs no literal.
                None => found |= body,
            }
        }
    }

    /// Begins to add a message, `length` bytes from `text`, to a mailbox. `each` is told of those that were added
    /// before, by the `number` they came with: their UID, or why not.
    pub(super) fn append(
        &mut self,
        (number, mailbox): (u64, &str),
        about: &str,
        length: u64,
        text: &mut dyn Read,
        mut each: impl FnMut(u64, Result<(), String>),
    ) -> Result<(), Error> {
        // Sent all the same, it would end the session.
        if length > self.limit {
            let limit = self.limit;
            each(
                number,
                Err(format!("it has {length} bytes, and the server takes {limit} at most")),
            );
            return Ok(());
        }
        self.settle(UNDER_WAY - 1, each)?;
        let tag = self.next_tag();
        let mut copy = || {
            write!(self.output, "{tag} APPEND {} {about} {{{length}+}}\r\n", quoted(mailbox))?;
            let copied = io::copy(&mut text.take(length), &mut self.output)?;
            if copied != length {
                return Err(io::Error::other("the message became shorter while it was read"));
            }
            self.output.write_all(b"\r\n")
        };
        copy().map_err(|source| self.silent(source))?;
        self.under_way.push_back((tag, number));
        Ok(())
    }

    /// Waits until at most `most` APPENDs are under way.
    pub(super) fn settle(
        &mut self,
        most: usize,
        mut each: impl FnMut(u64, Result<(), String>),
    ) -> Result<(), Error> {
        if self.under_way.len() > most {
            self.output.flush().map_err(|source| self.silent(source))?;
        }
        while self.under_way.len() > most {
            let response = self.read()?;
            let Some((tag, number)) = self.under_way.front() else { break };
            if let Some(reply) = response.reply_to(tag) {
                each(*number, reply.map(drop));
                self.under_way.pop_front();
            }
        }
        Ok(())
    }

    fn send(&mut self, command: &str) -> Result<String, Error> {
        let tag = self.next_tag();
        let sent = write!(self.output, "{tag} {command}\r\n").and_then(|()| self.output.flush());
        sent.map_err(|source| self.silent(source))?;
        Ok(tag)
    }

    fn next_tag(&mut self) -> String {
        self.tags += 1;
        format!("t{}", self.tags)
    }

    /// A response with its literals.
    fn read(&mut self) -> Result<Response, Error> {
        let mut bytes = self.line()?;
        self.rest(&mut bytes)?;
        let response = Response { bytes };
        if let Some(why) = response.bytes.strip_prefix(b"* BYE ") {
            let why = String::from_utf8_lossy(why).trim_end().to_owned();
            return Err(Error::Bye(why));
        }
        Ok(response)
    }

    /// What follows the line, as long as literals do.
    fn rest(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let mut last = bytes.clone();
        while let Some(length) = literal(&last) {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if bytes.len().saturating_add(length) > RESPONSE_MAX {
                return Err(self.silent(io::ErrorKind::FileTooLarge.into()));
            }
            let start = bytes.len();
            bytes.resize(start + length, 0);
            let part = bytes.get_mut(start..).unwrap_or_default();
            self.input.read_exact(part).map_err(|source| self.silent(source))?;
            last = self.line()?;
            bytes.extend_from_slice(&last);
        }
        Ok(())
    }

    fn line(&mut self) -> Result<Vec<u8>, Error> {
        let mut line = Vec::new();
        let read = self.input.by_ref().take(RESPONSE_MAX as u64).read_until(b'\n', &mut line);
        match read {
            Ok(_) if line.ends_with(b"\n") => Ok(line),
            Ok(_) => Err(self.silent(io::ErrorKind::UnexpectedEof.into())),
            Err(source) => Err(self.silent(source)),
        }
    }

    fn silent(&self, source: io::Error) -> Error {
        client::Error::Silent { data: self.data.clone(), source }.into()
    }

    fn odd(&self, response: &Response) -> Error {
        let line = String::from_utf8_lossy(&response.bytes).trim_end().to_owned();
        self.silent(io::Error::other(format!("it says {line:?}")))
    }
}

fn append_limit(greeting: &[u8]) -> Option<u64> {
    let words = String::from_utf8_lossy(greeting);
    let word = words.split([' ', ']']).find_map(|word| word.strip_prefix("APPENDLIMIT="))?;
    word.parse().ok()
}

/// The length of the literal that a line announces.
fn literal(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"}\r\n")?;
    let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = line.split_at_checked(line.len() - digits)?;
    before.strip_suffix(b"{")?;
    str::from_utf8(digits).ok()?.parse().ok()
}

/// A mailbox's name as a quoted string; it has no control characters.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The values of a response behind `* WORD`, if it is one.
pub(super) fn untagged(response: &Response, word: &str) -> Option<Vec<Value>> {
    let mut values = response.values()?.into_iter();
    (values.next()?.is("*") && values.next()?.is(word)).then(|| values.collect())
}
