//! A TLS client that sees every byte and every alert, and trusts the server's own certificate.

use crate::harness::Loft;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// How a client speaks TLS with the server whose data is in `dir/data`; `alpn` is what it offers.
pub(crate) fn config(dir: &Path, alpn: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificate = dir.join("data/tls/certificate.pem");
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config.enable_early_data = true;
    Arc::new(config)
}

/// TCP, with a patience of 30 seconds.
pub(crate) fn tcp(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Does the handshake on a connection.
pub(crate) fn shake(
    stream: TcpStream,
    config: &Arc<ClientConfig>,
    name: &str,
) -> io::Result<Secure> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = ClientConnection::new(config.clone(), name).unwrap();
    let mut stream = StreamOwned::new(session, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Secure(BufReader::new(stream)))
}

/// A connection to `imaps`.
pub(crate) fn imaps(loft: &Loft, config: &Arc<ClientConfig>) -> io::Result<Secure> {
    shake(tcp(loft.imaps), config, "localhost")
}

/// A connection in TLS.
pub(crate) struct Secure(pub(crate) BufReader<Stream>);

impl Secure {
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)?;
        self.0.get_mut().flush()
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Sends a command and returns its tagged reply.
    pub(crate) fn command(&mut self, command: &str) -> io::Result<String> {
        self.send(format!("t {command}\r\n").as_bytes())?;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.starts_with("t ") {
                return Ok(line);
            }
        }
    }

    /// Everything up to the end of the connection, whatever the end.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _end = self.0.read_to_end(&mut bytes);
        bytes
    }
}
