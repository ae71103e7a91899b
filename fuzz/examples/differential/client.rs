//! As much of an IMAP client as comparing needs.

use crate::value::{self, Value};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection to one server, logged in.
pub struct Client {
    stream: BufReader<TcpStream>,
    tag: u32,
    capabilities: Vec<String>,
    login: (SocketAddr, String),
}

/// What a command was answered.
pub struct Answer {
    /// `OK`, or else the whole text behind the tag.
    pub status: Result<(), String>,
    /// The values of each untagged line.
    pub untagged: Vec<Vec<Value>>,
    /// The tagged line.
    pub text: String,
}

/// Longest wait for any answer.
const PATIENCE: Duration = Duration::from_secs(60);

impl Client {
    /// Connects and logs in.
    pub fn login(address: SocketAddr, user: &str, password: &str) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Client {
            stream: BufReader::new(stream),
            tag: 0,
            capabilities: Vec::new(),
            login: (address, format!("{user} {password}")),
        };
        client.line()?;
        client.expect(format!("LOGIN {user} {password}").as_bytes())?;
        for values in client.command(b"CAPABILITY")?.untagged {
            client.capabilities = values.iter().map(|value| value.to_string()).collect();
        }
        Ok(client)
    }

    /// Connects anew and selects the mailbox if the server hung up; whether it had.
    pub fn revive(&mut self, mailbox: &str) -> io::Result<bool> {
        if self.command(b"NOOP").is_ok_and(|answer| answer.status.is_ok()) {
            return Ok(false);
        }
        let (address, login) = self.login.clone();
        let (user, password) = login.split_once(' ').unwrap_or_default();
        *self = Client::login(address, user, password)?;
        self.expect(format!("SELECT {mailbox}").as_bytes())?;
        Ok(true)
    }

    /// Whether the server offers it.
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|known| known.eq_ignore_ascii_case(capability))
    }

    /// Sends a command without its tag and line end, and reads all of its answer.
    pub fn command(&mut self, command: &[u8]) -> io::Result<Answer> {
        self.parts(&[command])
    }

    /// As [`Client::command`], but a refusal is an error.
    pub fn expect(&mut self, command: &[u8]) -> io::Result<Answer> {
        let answer = self.command(command)?;
        match &answer.status {
            Ok(()) => Ok(answer),
            Err(text) => {
                Err(io::Error::other(format!("{} was answered {text}", command.escape_ascii())))
            }
        }
    }

    /// Adds a message to a mailbox and gives its UID.
    pub fn append(&mut self, mailbox: &str, message: &[u8]) -> io::Result<Result<u64, String>> {
        let binary = if message.contains(&0) { "~" } else { "" };
        let head = format!("APPEND {mailbox} {binary}{{{}+}}\r\n", message.len());
        let answer = self.parts(&[head.as_bytes(), message])?;
        let uid =
            answer.text.split("APPENDUID ").nth(1).and_then(|rest| {
                rest.split([' ', ']']).nth(1).and_then(|uid| uid.parse::<u64>().ok())
            });
        Ok(answer.status.and(uid.ok_or(answer.text)))
    }

    fn parts(&mut self, parts: &[&[u8]]) -> io::Result<Answer> {
        self.tag += 1;
        let tag = format!("d{} ", self.tag);
        let mut sent = tag.clone().into_bytes();
        parts.iter().for_each(|part| sent.extend_from_slice(part));
        sent.extend_from_slice(b"\r\n");
        self.stream.get_mut().write_all(&sent)?;
        let mut untagged = Vec::new();
        loop {
            let line = self.line()?;
            if let Some(rest) = line.strip_prefix(tag.as_bytes()) {
                let text = String::from_utf8_lossy(rest).trim_end().to_owned();
                let status = if text.starts_with("OK") { Ok(()) } else { Err(text.clone()) };
                return Ok(Answer { status, untagged, text });
            }
            if let Some(rest) = line.strip_prefix(b"* ") {
                if rest.starts_with(b"OK") || rest.starts_with(b"NO") {
                    continue;
                }
                let values = value::parse(rest)
                    .ok_or_else(|| io::Error::other(format!("no IMAP: {}", line.escape_ascii())))?;
                untagged.push(values);
            }
        }
    }

    /// A line with the literals in it.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            if self.stream.read_until(b'\n', &mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(len) = literal_at_end(&line) else { return Ok(line) };
            let start = line.len();
            line.resize(start + len, 0);
            self.stream.read_exact(line.get_mut(start..).unwrap_or_default())?;
        }
    }
}

/// The length of the literal that a line announces.
fn literal_at_end(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|&byte| byte == b'{')?;
    std::str::from_utf8(line.get(open + 1..)?).ok()?.parse().ok()
}
