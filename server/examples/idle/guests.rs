//! Connections that never log in, and what they send instead.

use crate::Result;
use crate::client::{Client, tcp, tls_client};
use clap::ValueEnum;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// What a connection sends before it falls silent.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Guest {
    /// Nothing: it has read the greeting.
    Greeted,
    /// Half a line, as long as one may be.
    HalfLine,
    /// Brackets that are never closed.
    Brackets,
    /// A literal but for its last byte.
    Literal,
    /// AUTHENTICATE, and half of what belongs to it.
    Authenticate,
    /// Half a ClientHello.
    HalfHello,
    /// A ClientHello of 60,000 bytes in records of 100 bytes, without its last.
    LargeHello,
    /// A ClientHello; what the server says is never answered.
    Hello,
}

impl Guest {
    pub(crate) fn connect(self, from: SocketAddr, to: SocketAddr, tls: bool) -> Result<Open> {
        let text = match self {
            Self::Greeted => String::new(),
            Self::HalfLine => format!("a LOGIN {}", "x".repeat(8000)),
            Self::Brackets => format!("a NOOP {}", "(".repeat(4000)),
            Self::Literal => format!(
                "a LOGIN {{4000+}}\r\n{} {{4000+}}\r\n{}",
                "x".repeat(4000),
                "y".repeat(3999)
            ),
            Self::Authenticate => format!("a AUTHENTICATE PLAIN\r\n{}", "QUFB".repeat(2000)),
            Self::HalfHello | Self::LargeHello | Self::Hello => return self.shake(from, to),
        };
        let mut client = Client::connect(from, to, tls)?;
        client.greeting()?;
        client.send(text.as_bytes())?;
        Ok(Open::Imap(client))
    }

    /// Gets stuck in a handshake.
    fn shake(self, from: SocketAddr, to: SocketAddr) -> Result<Open> {
        let filler = if matches!(self, Self::LargeHello) { 240 } else { 0 };
        let alpn = std::iter::once(b"imap".to_vec());
        let alpn = alpn.chain(std::iter::repeat_n(vec![b'x'; 248], filler));
        let mut client = tls_client(alpn.collect())?;
        let mut hello = Vec::new();
        client.write_tls(&mut hello)?;
        let hello = match self {
            Self::HalfHello => hello.get(..hello.len() / 2).unwrap_or_default().to_vec(),
            Self::LargeHello => fragments(&hello, 100),
            _ => hello,
        };
        let mut tcp = tcp(from, to)?;
        tcp.write_all(&hello)?;
        if matches!(self, Self::Hello) {
            let _begun = tcp.read(&mut [0; 16])?;
        }
        Ok(Open::Tcp(tcp))
    }
}

/// A connection that is kept open.
#[allow(dead_code, reason = "it is only held")]
pub(crate) enum Open {
    Imap(Client),
    Tcp(TcpStream),
}

/// The same handshake message in records of `size` bytes, without the last of them.
fn fragments(records: &[u8], size: usize) -> Vec<u8> {
    let mut message = Vec::new();
    let mut rest = records;
    // RFC 8446 §5.1: type, version, length.
    while let Some((&[_, _, _, high, low], after)) = rest.split_first_chunk() {
        let (fragment, after) =
            after.split_at(usize::from(u16::from_be_bytes([high, low])).min(after.len()));
        message.extend_from_slice(fragment);
        rest = after;
    }
    let mut out = Vec::new();
    for fragment in message.get(..message.len() - 1).unwrap_or_default().chunks_exact(size) {
        let [high, low] = (fragment.len() as u16).to_be_bytes();
        out.extend_from_slice(&[22, 3, 1, high, low]);
        out.extend_from_slice(fragment);
    }
    out
}
