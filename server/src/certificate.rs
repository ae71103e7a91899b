//! The server's certificate: one that it is given, or a self-signed one, made at the first start and kept beside the
//! mail.
//!
//! Invariant: the key is durable before the certificate is made from it, so whatever a crash leaves can be completed.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use runtime_smol::fs::{self, Fs};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Below the data directory.
const DIR: &str = "tls";
const KEY: &str = "key.pem";
const CERTIFICATE: &str = "certificate.pem";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file can't be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key file holds no key.
    #[error("{} holds no private key that can be used; remove it to have a new one made", path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// A file that was named holds no certificate.
    #[error("{} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file that was named holds no key.
    #[error("{} holds no private key in PEM (-----BEGIN PRIVATE KEY-----)", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// They are no pair, or of a kind that TLS has no use for.
    #[error("cannot use {} with the key {}: {source}", certificate.display(), key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the TLS library says.
        source: rustls::Error,
    },
    /// The random numbers or the signature failed.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The TLS library refuses what was made.
    #[error("cannot use the certificate: {0}")]
    Use(#[from] rustls::Error),
}

/// A TLS server with the certificate kept under `data`, which must exist, made for `hostname` when it is missing.
/// The files are readable by their owner alone. `alpn` are the protocols to agree on (RFC 7301), for clients that ask.
///
/// # Errors
/// Files that can't be used, and a key file that holds something else: it may be somebody's, so it is left alone.
pub fn server(
    fs: &dyn Fs,
    data: &Path,
    hostname: &str,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, Error> {
    let dir = data.join(DIR);
    fs::create_dirs_synced(fs, &dir).map_err(|source| Error::Io {
        what: "make",
        path: dir.clone(),
        source,
    })?;
    let key_path = dir.join(KEY);
    let key_pem = match read(fs, &key_path)? {
        Some(pem) => pem,
        None => {
            let pem =
                KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?.serialize_pem().into_bytes();
            write(fs, &key_path, &pem)?;
            pem
        }
    };
    let path = dir.join(CERTIFICATE);
    let key = || {
        PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| Error::Key { path: key_path.clone() })
    };
    if let Some(pem) = read(fs, &path)? {
        match CertificateDer::pem_slice_iter(&pem).collect() {
            Ok(chain) => match config(chain, key()?, alpn) {
                Ok(config) => return Ok(config),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the certificate is made again")
                }
            },
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the certificate is made again")
            }
        }
    }
    let key_text = str::from_utf8(&key_pem).ok();
    let key_pair = key_text.and_then(|pem| KeyPair::from_pem(pem).ok());
    let certificate =
        self_signed(&key_pair.ok_or(Error::Key { path: key_path.clone() })?, hostname)?;
    write(fs, &path, certificate.pem().as_bytes())?;
    Ok(config(vec![certificate.der().clone()], key()?, alpn)?)
}

/// The certificate that new connections get; it can be replaced while the server runs.
#[derive(Debug)]
pub struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    /// This one.
    #[must_use]
    pub fn new(key: Arc<CertifiedKey>) -> Arc<Self> {
        Arc::new(Self(RwLock::new(key)))
    }

    /// From now on this one.
    pub fn replace(&self, key: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// A TLS server that goes by it; `alpn` as for [`server`].
    ///
    /// # Errors
    /// When the TLS library refuses its own defaults.
    pub fn server(self: &Arc<Self>, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// Reads a certificate with its chain, and its key, both PEM.
///
/// # Errors
/// Files that can't be read, hold something else, or are no pair.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, Error> {
    // Links are followed: that is how those who renew certificates name the newest.
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| Error::Io {
            what: "read",
            path: path.to_owned(),
            source,
        })
    };
    let pem = read(certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| Error::NoCertificate { path: certificate.to_owned() })?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| Error::NoKey { path: key.to_owned() })?;
    match CertifiedKey::from_der(chain, private, &provider()) {
        Ok(pair) => Ok(Arc::new(pair)),
        Err(source) => {
            Err(Error::Pair { certificate: certificate.to_owned(), key: key.to_owned(), source })
        }
    }
}

fn self_signed(key: &KeyPair, hostname: &str) -> Result<rcgen::Certificate, rcgen::Error> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if hostname != "localhost" {
        names.push(hostname.to_owned());
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, hostname);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.self_signed(key)
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

/// Named here: with several providers linked in, the process-wide default would be nobody's choice.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn read(fs: &dyn Fs, path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read_all(fs, path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { what: "read", path: path.to_owned(), source }),
    }
}

fn write(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::replace(fs, path, bytes).map_err(|source| Error::Io {
        what: "write",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime_smol::fs::RealFs;
    use std::fs as std_fs;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    fn start(data: &TempDir) -> Result<Arc<ServerConfig>, Error> {
        server(&RealFs, data.path(), "mail.example.org", &[b"imap"])
    }

    fn files(data: &TempDir) -> (Vec<u8>, Vec<u8>) {
        let read = |name| std_fs::read(data.path().join(DIR).join(name)).unwrap();
        (read(KEY), read(CERTIFICATE))
    }

    #[test]
    fn it_is_made_once_and_the_key_is_private() {
        let data = TempDir::new().unwrap();
        start(&data).unwrap();
        let first = files(&data);
        let mode = std_fs::metadata(data.path().join(DIR).join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        start(&data).unwrap();
        assert_eq!(files(&data), first);
    }

    #[test]
    fn row_28_no_early_data_is_taken_and_only_the_offered_protocol_spoken() {
        let data = TempDir::new().unwrap();
        let made = start(&data).unwrap();
        let dir = data.path().join(DIR);
        let current = Current::new(load(&dir.join(CERTIFICATE), &dir.join(KEY)).unwrap());
        for config in [made, current.server(&[b"imap"]).unwrap()] {
            assert_eq!((config.max_early_data_size, config.send_half_rtt_data), (0, false));
            assert_eq!(config.alpn_protocols, [b"imap"]);
        }
    }

    #[test]
    fn what_is_named_has_to_be_a_pair_and_the_texts_say_what_is_wrong() {
        let (data, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        start(&data).unwrap();
        start(&other).unwrap();
        let file = |data: &TempDir, name| data.path().join(DIR).join(name);
        let (certificate, key) = (file(&data, CERTIFICATE), file(&data, KEY));
        let current = Current::new(load(&certificate, &key).unwrap());
        assert!(current.server(&[b"imap"]).is_ok());
        for (certificate, key, said) in [
            (&key, &key, "key.pem holds no certificate in PEM"),
            (&certificate, &certificate, "certificate.pem holds no private key in PEM"),
            (&certificate, &file(&other, KEY), "with the key"),
            (&certificate, &file(&other, "missing"), "cannot read"),
        ] {
            let error = load(certificate, key).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_missing_or_foreign_certificate_is_made_from_the_key() {
        let (data, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        start(&data).unwrap();
        start(&other).unwrap();
        let (key, _) = files(&data);
        let path = data.path().join(DIR).join(CERTIFICATE);
        for content in [None, Some(files(&other).1), Some(b"not PEM".to_vec()), Some(vec![])] {
            match content {
                None => std_fs::remove_file(&path).unwrap(),
                Some(bytes) => std_fs::write(&path, bytes).unwrap(),
            }
            start(&data).unwrap();
            let (same_key, certificate) = files(&data);
            assert_eq!(same_key, key);
            assert!(certificate.starts_with(b"-----BEGIN CERTIFICATE-----"));
        }
    }

    #[test]
    fn a_key_file_with_something_else_is_left_alone_and_named() {
        let data = TempDir::new().unwrap();
        start(&data).unwrap();
        let path = data.path().join(DIR).join(KEY);
        std_fs::write(&path, "mine").unwrap();
        let error = start(&data).unwrap_err().to_string();
        assert!(
            error.contains("key.pem holds no private key") && error.contains("remove it"),
            "{error}"
        );
        assert_eq!(std_fs::read(&path).unwrap(), b"mine");
    }
}
