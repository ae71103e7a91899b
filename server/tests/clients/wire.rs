//! Plain protocol clients, for what no program does: they see every line.

use crate::grammar::Checker;
use rustix::net::{AddressFamily, SocketType};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

fn connect(at: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    prepare(TcpStream::connect(at)?)
}

fn prepare(stream: TcpStream) -> io::Result<BufReader<TcpStream>> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(BufReader::new(stream))
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// An IMAP connection; all that it hears is IMAP.
pub(crate) struct Imap {
    stream: BufReader<TcpStream>,
    grammar: Checker,
}

impl Imap {
    /// Logs in with the password `pw`.
    pub(crate) fn log_in(at: SocketAddr, user: &str) -> Self {
        let mut imap = Self::connect(at).unwrap();
        imap.ok(&format!("LOGIN {user} pw"));
        imap
    }

    /// Reads the greeting.
    pub(crate) fn connect(at: SocketAddr) -> io::Result<Self> {
        Self::greeted(connect(at)?)
    }

    /// The same from another address of this machine: 127.0.0.1 to 127.255.255.254 all are.
    pub(crate) fn connect_from(ip: [u8; 4], at: SocketAddr) -> io::Result<Self> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddr::from((ip, 0)))?;
        rustix::net::connect(&socket, &at)?;
        Self::greeted(prepare(TcpStream::from(socket))?)
    }

    fn greeted(stream: BufReader<TcpStream>) -> io::Result<Self> {
        let mut imap = Self { stream, grammar: Checker::default() };
        let greeting = imap.line()?;
        assert!(greeting.starts_with("* OK"), "{greeting}");
        Ok(imap)
    }

    pub(crate) fn line(&mut self) -> io::Result<String> {
        let line = line(&mut self.stream)?;
        self.grammar.feed(format!("{line}\r\n").as_bytes()).unwrap();
        Ok(line)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends a command and returns all lines up to its tagged reply, which is the last. Literals are lines, too.
    pub(crate) fn command(&mut self, command: &str) -> io::Result<Vec<String>> {
        self.send(format!("t {command}\r\n").as_bytes())?;
        self.reply()
    }

    /// The lines up to a tagged reply.
    pub(crate) fn reply(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            let tagged = line.starts_with("t ");
            lines.push(line);
            if tagged {
                return Ok(lines);
            }
        }
    }

    /// A command that must be answered OK.
    pub(crate) fn ok(&mut self, command: &str) -> Vec<String> {
        let lines = self.command(command).unwrap();
        assert!(lines.last().unwrap().starts_with("t OK"), "{command}: {lines:?}");
        lines
    }

    /// APPEND, by a literal that is not waited for.
    pub(crate) fn try_append(&mut self, mailbox: &str, mail: &str) -> io::Result<Vec<String>> {
        self.send(format!("t APPEND {mailbox} {{{}+}}\r\n{mail}\r\n", mail.len()).as_bytes())?;
        self.reply()
    }

    pub(crate) fn append(&mut self, mailbox: &str, mail: &str) {
        let lines = self.try_append(mailbox, mail).unwrap();
        assert!(lines.last().unwrap().starts_with("t OK"), "{lines:?}");
    }

    /// Everything up to the end of the connection.
    pub(crate) fn rest(mut self) -> String {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).unwrap();
        text
    }
}

/// An LMTP connection.
pub(crate) struct Lmtp {
    stream: BufReader<TcpStream>,
}

impl Lmtp {
    /// Reads the greeting and says LHLO.
    pub(crate) fn connect(at: SocketAddr) -> io::Result<Self> {
        let mut lmtp = Self { stream: connect(at)? };
        lmtp.reply()?;
        lmtp.send(b"LHLO test\r\n")?;
        lmtp.reply()?;
        Ok(lmtp)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// The last line of the next reply.
    pub(crate) fn reply(&mut self) -> io::Result<String> {
        loop {
            let line = line(&mut self.stream)?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }

    /// Delivers to one recipient; the reply that ended it, good or bad.
    pub(crate) fn try_deliver(&mut self, recipient: &str, mail: &str) -> io::Result<String> {
        for (command, good) in [
            ("RSET".to_owned(), "250"),
            ("MAIL FROM:<sender@example.org>".to_owned(), "250"),
            (format!("RCPT TO:<{recipient}>"), "250"),
            ("DATA".to_owned(), "354"),
        ] {
            self.send(format!("{command}\r\n").as_bytes())?;
            let reply = self.reply()?;
            if !reply.starts_with(good) {
                return Ok(reply);
            }
        }
        self.send(format!("{mail}.\r\n").as_bytes())?;
        self.reply()
    }

    /// Delivers `mail`, which needs no dots doubled, and returns the reply for each recipient.
    pub(crate) fn deliver(&mut self, recipients: &[&str], mail: &str) -> io::Result<Vec<String>> {
        let mut commands = "MAIL FROM:<sender@example.org>\r\n".to_owned();
        for recipient in recipients {
            commands.push_str(&format!("RCPT TO:<{recipient}>\r\n"));
        }
        self.send(format!("{commands}DATA\r\n").as_bytes())?;
        for _ in 0..recipients.len() + 2 {
            let reply = self.reply()?;
            assert!(reply.starts_with("250") || reply.starts_with("354"), "{reply}");
        }
        self.send(format!("{mail}.\r\n").as_bytes())?;
        recipients.iter().map(|_| self.reply()).collect()
    }

    /// Everything up to the end of the connection.
    pub(crate) fn rest(mut self) -> String {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).unwrap();
        text
    }
}
