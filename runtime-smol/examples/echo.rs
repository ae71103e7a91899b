//! Answers lines, for counting what a turn of request and reply costs.
//!
//! `echo serve [--tls]` prints its address and serves until SIGTERM; count its system calls with `strace -f -c`.
//! `echo load ADDR CONNECTIONS TURNS [--tls]` asks so many lines on each connection, in turn on all of them, then
//! prints turns per second. `echo idle ADDR CONNECTIONS [--tls]` opens connections and waits for a key.

use runtime_smol::{
    Clock, Listener, Machine, Options, Output, Peer, Request, Runtime, Server, Time, Tls,
    on_signals, raise_open_files,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, StreamOwned};
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::task::Context;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let tls = args.last() == Some(&"--tls");
    match *args.as_slice() {
        ["serve", ..] => serve(tls),
        ["load", addr, connections, turns, ..] => {
            load(addr, connections.parse()?, turns.parse()?, tls)
        }
        ["idle", addr, connections, ..] => {
            let _open = connect(addr, connections.parse()?, tls)?;
            let _ = std::io::stdin().read(&mut [0])?;
            Ok(())
        }
        _ => Err("echo serve | load ADDR CONNECTIONS TURNS | idle ADDR CONNECTIONS [--tls]".into()),
    }
}

/// Gives back what it gets.
#[derive(Default)]
struct Echo {
    out: Vec<u8>,
    ended: bool,
}

impl Machine for Echo {
    fn handle_input(&mut self, _: Time, input: &[u8]) -> usize {
        self.out.extend_from_slice(input);
        input.len()
    }

    fn handle_eof(&mut self, _: Time) {
        self.ended = true;
    }

    fn handle_timeout(&mut self, _: Time) {}

    fn handle_upgraded(&mut self, _: Time, _: &Peer) {}

    fn handle_shutdown(&mut self, _: Time) {
        self.ended = true;
    }

    fn handle_eviction(&mut self, _: Time) {
        self.ended = true;
    }

    fn held(&self) -> usize {
        self.out.len()
    }

    fn poll_events(&mut self, _: Time, _: &mut Context<'_>) -> bool {
        false
    }

    fn poll_output(&mut self, now: Time) -> Output<'_> {
        if !self.out.is_empty() {
            return Output::Transmit(&self.out);
        }
        self.out = Vec::new();
        if self.ended {
            return Output::Close;
        }
        Output::Wait { wants_input: true, deadline: Some(now.after(Duration::from_secs(1800))) }
    }

    fn transmitted(&mut self, n: usize) {
        self.out.drain(..n);
    }
}

fn serve(tls: bool) -> Result<(), Box<dyn Error>> {
    raise_open_files()?;
    let runtime = Runtime::start(0, Clock::new())?;
    let (stop, stopped) = mpsc::channel();
    on_signals(move |request| {
        if request == Request::Stop {
            let _ = stop.send(());
        }
    })?;
    let listener = Listener::tcp(([127, 0, 0, 1], 0).into())?;
    println!("{}", listener.tcp_address().ok_or("no address")?);
    let tls = if tls { Tls::Always(server_config()?) } else { Tls::Never };
    let server = Server::new(&runtime, 256);
    server.listen(listener, Options::new("echo", tls), |_, _| Echo::default());
    stopped.recv()?;
    runtime.shut_down(Duration::from_secs(10));
    Ok(())
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

fn connect(addr: &str, count: usize, tls: bool) -> Result<Vec<Box<dyn Stream>>, Box<dyn Error>> {
    raise_open_files()?;
    let config = client_config()?;
    let mut streams: Vec<Box<dyn Stream>> = Vec::new();
    for _ in 0..count {
        let tcp = TcpStream::connect(addr)?;
        tcp.set_nodelay(true)?;
        let mut stream: Box<dyn Stream> = if tls {
            let name = ServerName::try_from("localhost")?;
            Box::new(StreamOwned::new(ClientConnection::new(Arc::clone(&config), name)?, tcp))
        } else {
            Box::new(tcp)
        };
        turn(&mut *stream)?;
        streams.push(stream);
    }
    Ok(streams)
}

fn turn(stream: &mut dyn Stream) -> std::io::Result<()> {
    stream.write_all(b"a line of some length\n")?;
    stream.flush()?;
    stream.read_exact(&mut [0; 22])
}

fn load(addr: &str, count: usize, turns: usize, tls: bool) -> Result<(), Box<dyn Error>> {
    let mut streams = connect(addr, count, tls)?;
    let clock = Clock::new();
    let begin = clock.now();
    for _ in 0..turns {
        for stream in &mut streams {
            turn(&mut **stream)?;
        }
    }
    let millis = (clock.now().0 - begin.0).max(1);
    println!("{} turns/s", (turns * count) as u64 * 1000 / millis);
    Ok(())
}

fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "tls-aws-lc")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "tls-aws-lc"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}

fn server_config() -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(Arc::new(config))
}

fn client_config() -> Result<Arc<ClientConfig>, Box<dyn Error>> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Believes any certificate: this is a measurement.
#[derive(Debug)]
struct Anyone;

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
