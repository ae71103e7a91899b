//! The same under TLS, from the start or on request.

use crate::echo::{Client, TestServer, until};
use runtime_smol::{Options, Tls};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    #[cfg(feature = "tls-aws-lc")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "tls-aws-lc"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}

pub(crate) fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["mail.example".to_owned()]).unwrap();
    let cert: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(provider());
    let mut server = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"imap".to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(cert).unwrap();
    let builder = ClientConfig::builder_with_provider(provider());
    let mut client = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"imap".to_vec()];
    (Arc::new(server), Arc::new(client))
}

pub(crate) fn secure(
    stream: TcpStream,
    config: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("mail.example").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), stream)
}

const FACTS: &str = r#"tcp=true tls=true local=true sni=Some("mail.example") alpn=Some("imap")"#;

#[test]
fn tls_from_the_start() {
    let (server, config) = configs();
    let server = TestServer::start(Tls::Always(server));
    let stream = server.connect().0.into_inner();
    let mut client = Client::new(secure(stream, &config));
    assert_eq!(client.line(), format!("hello {FACTS}"));
    assert_eq!(client.ask("one"), "one");
    client.send("big 5000000\nafter\n");
    let mut got = vec![0; 5_000_000];
    client.0.read_exact(&mut got).unwrap();
    assert_eq!(client.line(), "after");
    let long = "z".repeat(300_000);
    assert_eq!(client.ask(&long), long);
    assert_eq!(client.ask("quit"), "bye");
    assert_eq!(client.line(), "", "the end is said in TLS too");
}

#[test]
fn the_end_of_tls_without_a_word_is_the_end_of_input() {
    let (server, config) = configs();
    let server = TestServer::start(Tls::Always(server));
    let stream = server.connect().0.into_inner();
    let mut client = Client::new(secure(stream, &config));
    assert_eq!(client.line(), format!("hello {FACTS}"));
    client.send("unfinished");
    drop(client);
    until("the machine is told", || server.seen.eofs.load(Ordering::SeqCst) == 1);
    until("and goes", || server.seen.dropped.load(Ordering::SeqCst) == 1);
}

#[test]
fn tls_on_request() {
    let (server, config) = configs();
    let server = TestServer::start(Tls::OnRequest(server));
    let mut client = server.greeted();
    assert_eq!(client.ask("plain"), "plain");
    assert_eq!(client.ask("starttls"), "go ahead");
    let mut client = Client::new(secure(client.0.into_inner(), &config));
    client.send("x\n");
    assert_eq!(client.line(), format!("upgraded {FACTS}"));
    assert_eq!(client.line(), "x");
    assert_eq!(client.ask("quit"), "bye");
}

/// What was injected before the handshake is not executed after it.
#[test]
fn row_01_input_before_the_handshake_ends_the_connection() {
    let (server, _) = configs();
    let server = TestServer::start(Tls::OnRequest(server));
    let mut client = server.greeted();
    client.send("starttls\ninjected\n");
    assert_eq!(client.line(), "go ahead");
    let mut rest = Vec::new();
    let _ = client.0.read_to_end(&mut rest);
    assert_eq!(rest, b"");
    until("the machine is told", || server.seen.eofs.load(Ordering::SeqCst) == 1);
}

#[test]
fn row_01_plain_text_in_place_of_a_handshake_ends_the_connection() {
    let (server, _) = configs();
    let server = TestServer::start(Tls::OnRequest(server));
    let mut client = server.greeted();
    assert_eq!(client.ask("starttls"), "go ahead");
    client.send("injected later\n");
    let mut rest = Vec::new();
    let _ = client.0.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("injected"), "an alert, not an answer");
    until("it ends", || server.seen.dropped.load(Ordering::SeqCst) == 1);
}

#[test]
fn tls_where_there_is_none_ends_the_connection() {
    let server = TestServer::start(Tls::Never);
    let mut client = server.greeted();
    assert_eq!(client.ask("starttls"), "go ahead");
    assert_eq!(client.line(), "");
}

#[test]
fn row_03_a_handshake_that_never_ends_is_given_up_and_its_place_freed() {
    let (config, client_config) = configs();
    let mut options = Options::new("echo", Tls::Always(config));
    options.handshake = Duration::from_secs(2);
    let server = TestServer::with(options, 1);
    let mut lazy = server.connect();
    // A whole record with half of a ClientHello, so that it has the only place.
    lazy.0.get_mut().write_all(&[22, 3, 1, 0, 5, 1, 0, 1, 0, 3]).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let stream = server.connect().0.into_inner();
    let mut client = Client::new(secure(stream, &client_config));
    assert_eq!(client.line(), format!("hello {FACTS}"), "after the lazy one's time was up");
    assert_eq!(lazy.line(), "", "closed");
    assert_eq!(server.seen.made.load(Ordering::SeqCst), 1, "no machine without a handshake");
}
