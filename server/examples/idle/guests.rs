//! Connections that never log in, and what they send instead.

use crate::Result;
use crate::client::{Client, tcp, tls_client};
use clap::ValueEnum;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// What a connection sends before it falls silent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Guest {
    /// Nothing: it has read the greeting.
    Greeted,
    /// Half a line, as long as one may be.
    HalfLine,
    /// Brackets that are never closed.
    Brackets,
    /// The same of the other kind.
    Squares,
    /// Literals, and half a line behind them.
    Literals,
    /// A literal but for its last byte.
    HalfLiteral,
    /// AUTHENTICATE, and half of what belongs to it.
    Authenticate,
    /// Commands that fail, and half of one more.
    Errors,
    /// Commands without end, whose replies it does not read.
    Deaf,
    /// In TLS: half a line, then a record as large as one may be, but for its last byte.
    HalfRecord,
    /// Half a ClientHello.
    HalfHello,
    /// A ClientHello of 60,000 bytes in records of 100 bytes, without its last.
    LargeHello,
    /// The same of 13,000 bytes, as much as is taken.
    MediumHello,
    /// A ClientHello; what the server says is never answered.
    Hello,
}

impl Guest {
    /// Whether it is one of those that get stuck in the handshake.
    pub(crate) fn is_in_handshake(self) -> bool {
        matches!(self, Self::HalfHello | Self::LargeHello | Self::MediumHello | Self::Hello)
    }

    pub(crate) fn connect(self, from: SocketAddr, to: SocketAddr, tls: bool) -> Result<TcpStream> {
        if self.is_in_handshake() {
            return self.shake(from, to);
        }
        let mut client = Client::connect(from, to, tls)?;
        client.greeting()?;
        client.send(&self.text())?;
        if self == Self::HalfRecord && tls {
            client.send_cut(&vec![b'x'; 16 << 10])?;
        }
        if self == Self::Deaf {
            client.flood(&self.text())?;
        }
        Ok(client.into_tcp())
    }

    fn text(self) -> Vec<u8> {
        let literal = |of: &str, size| format!("{{4000+}}\r\n{}", of.repeat(size));
        let (whole, half) = (literal("y", 4000), literal("y", 3999));
        let text = match self {
            Self::HalfLine | Self::HalfRecord => format!("a LOGIN {}", "x".repeat(8000)),
            Self::Brackets => format!("a NOOP {}", "(".repeat(4000)),
            Self::Squares => format!("a NOOP {}", "[{<".repeat(1300)),
            Self::Literals => format!("a LOGIN {whole} {whole} {}", "x".repeat(5000)),
            Self::HalfLiteral => format!("a LOGIN {whole} {half}"),
            Self::Authenticate => format!("a AUTHENTICATE PLAIN\r\n{}", "QUFB".repeat(2000)),
            Self::Errors => "a b c d\r\n".repeat(5) + "a LOGIN " + &"x".repeat(4000),
            Self::Deaf => "a NOOP\r\n".repeat(2000),
            Self::Greeted
            | Self::HalfHello
            | Self::LargeHello
            | Self::MediumHello
            | Self::Hello => String::new(),
        };
        text.into_bytes()
    }

    /// Gets stuck in a handshake.
    fn shake(self, from: SocketAddr, to: SocketAddr) -> Result<TcpStream> {
        let filler = if self == Self::LargeHello {
            240
        } else if self == Self::MediumHello {
            48
        } else {
            0
        };
        let alpn = std::iter::once(b"imap".to_vec());
        let alpn = alpn.chain(std::iter::repeat_n(vec![b'x'; 248], filler));
        let mut client = tls_client(alpn.collect())?;
        let mut hello = Vec::new();
        client.write_tls(&mut hello)?;
        if self == Self::HalfHello {
            hello.truncate(hello.len() / 2);
        } else if filler > 0 {
            hello = fragments(&hello, 100);
        }
        let mut tcp = tcp(from, to)?;
        // The server may have had enough before it has all.
        let _enough = tcp.write_all(&hello);
        if matches!(self, Self::Hello) {
            let _begun = tcp.read(&mut [0; 16])?;
        }
        Ok(tcp)
    }
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
