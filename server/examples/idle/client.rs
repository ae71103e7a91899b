//! Clients: IMAP in the clear or over TLS, and LMTP.

use crate::Result;
use rustix::net::{AddressFamily, SocketType};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// An IMAP connection.
pub(crate) struct Client {
    stream: Stream,
    /// Bytes of a line that is not complete.
    rest: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Client {
    pub(crate) fn connect(from: SocketAddr, to: SocketAddr, tls: bool) -> Result<Self> {
        let tcp = tcp(from, to)?;
        let stream = match tls {
            false => Stream::Plain(tcp),
            true => Stream::Tls(Box::new(StreamOwned::new(tls_client(Vec::new())?, tcp))),
        };
        Ok(Self { stream, rest: Vec::new() })
    }

    pub(crate) fn greeting(&mut self) -> Result<()> {
        let line = self.line()?;
        if line.starts_with("* OK") { Ok(()) } else { Err(line.into()) }
    }

    /// A command that must be answered OK.
    pub(crate) fn command(&mut self, command: &str) -> Result<()> {
        self.send(format!("t {command}\r\n").as_bytes())?;
        loop {
            let line = self.line()?;
            if line.starts_with("t OK") {
                return Ok(());
            } else if line.starts_with("t ") {
                return Err(format!("{command}: {line}").into());
            }
        }
    }

    /// Waits until it is told how many messages there are.
    #[allow(dead_code, reason = "the tests that share this file do")]
    pub(crate) fn news(&mut self) -> Result<()> {
        while !self.line()?.ends_with(" EXISTS") {}
        Ok(())
    }

    /// Begins IDLE.
    pub(crate) fn idle(&mut self) -> Result<()> {
        self.send(b"t IDLE\r\n")?;
        while !self.line()?.starts_with('+') {}
        Ok(())
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.write_all(bytes)?,
            Stream::Tls(tls) => {
                tls.write_all(bytes)?;
                tls.flush()?;
            }
        }
        Ok(())
    }

    /// Sends this again and again, until the server takes nothing any more.
    pub(crate) fn flood(&mut self, bytes: &[u8]) -> Result<()> {
        self.tcp().set_nonblocking(true)?;
        let mut refusals = 0;
        while refusals < 5 {
            let written = match &mut self.stream {
                Stream::Plain(tcp) => tcp.write(bytes),
                Stream::Tls(tls) => tls.write(bytes),
            };
            match written {
                Ok(_) => refusals = 0,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    refusals += 1;
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends one record of TLS but for its last byte.
    pub(crate) fn send_cut(&mut self, bytes: &[u8]) -> Result<()> {
        let Stream::Tls(tls) = &mut self.stream else { return Err("not over TLS".into()) };
        tls.conn.writer().write_all(bytes)?;
        let mut record = Vec::new();
        tls.conn.write_tls(&mut record)?;
        record.pop();
        Ok(tls.sock.write_all(&record)?)
    }

    /// The bare connection, which stays open; what the client knew of it goes.
    pub(crate) fn into_tcp(self) -> TcpStream {
        match self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.sock,
        }
    }

    fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.read()? == 0 {
                return Err("the server closed the connection".into());
            }
        }
    }

    fn read(&mut self) -> std::io::Result<usize> {
        let mut buffer = [0; 4096];
        let n = match &mut self.stream {
            Stream::Plain(tcp) => tcp.read(&mut buffer)?,
            Stream::Tls(tls) => tls.read(&mut buffer)?,
        };
        self.rest.extend_from_slice(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }

    pub(crate) fn set_nonblocking(&self) -> Result<()> {
        Ok(self.tcp().set_nonblocking(true)?)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.tcp().as_fd()
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => &tls.sock,
        }
    }

    /// Reads what has come, without waiting, and counts the EXISTS in it.
    pub(crate) fn take_news(&mut self) -> Result<usize> {
        let mut exists = 0;
        loop {
            while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                exists += usize::from(line.ends_with(b" EXISTS\r\n"));
            }
            match self.read() {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.rest.shrink_to_fit();
                    return Ok(exists);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// An LMTP connection.
pub(crate) struct Lmtp {
    stream: BufReader<TcpStream>,
}

impl Lmtp {
    pub(crate) fn connect(at: SocketAddr) -> Result<Self> {
        let tcp = TcpStream::connect(at)?;
        tcp.set_nodelay(true)?;
        let mut this = Self { stream: BufReader::new(tcp) };
        this.reply()?;
        this.say("LHLO bench\r\n")?;
        Ok(this)
    }

    /// Delivers a message; when it returns, the server has just said that it has it.
    pub(crate) fn deliver(&mut self, account: usize) -> Result<std::time::Instant> {
        self.say("MAIL FROM:<a@example.org>\r\n")?;
        self.say(&format!("RCPT TO:<u{account}@example.org>\r\n"))?;
        self.say("DATA\r\n")?;
        self.say("Subject: Hello\r\n\r\nThere is something new.\r\n.\r\n")?;
        Ok(std::time::Instant::now())
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.stream.get_mut().write_all(text.as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> Result<()> {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            match line.as_bytes() {
                [b'2' | b'3', _, _, b'-', ..] => {}
                [b'2' | b'3', ..] => return Ok(()),
                _ => return Err(format!("LMTP: {line:?}").into()),
            }
        }
    }
}

/// A connected socket.
pub(crate) fn tcp(from: SocketAddr, to: SocketAddr) -> Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &from)?;
    rustix::net::connect(&socket, &to)?;
    let tcp = TcpStream::from(socket);
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(tcp)
}

/// A TLS client that offers these protocols.
pub(crate) fn tls_client(alpn: Vec<Vec<u8>>) -> Result<ClientConnection> {
    static CONFIG: LazyLock<std::result::Result<ClientConfig, rustls::Error>> =
        LazyLock::new(|| {
            let config =
                ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                    .with_safe_default_protocol_versions()?;
            let mut config = config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anyone))
                .with_no_client_auth();
            config.resumption = rustls::client::Resumption::disabled();
            Ok(config)
        });
    let mut config = CONFIG.as_ref().map_err(Clone::clone)?.clone();
    config.alpn_protocols = alpn;
    Ok(ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?)
}

/// Believes any certificate: this is a measurement.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
