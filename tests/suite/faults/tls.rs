//! Certificates that no machine trusts, a server that shows them, and a client that trusts one of them.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A certificate of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certificate {
    /// Trusted by [`client`].
    Trusted,
    /// Trusted by nobody.
    Stranger,
}

impl Certificate {
    fn pem(self) -> &'static [u8] {
        match self {
            Self::Trusted => include_bytes!("trusted.pem"),
            Self::Stranger => include_bytes!("stranger.pem"),
        }
    }

    fn read(self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem()).expect("a certificate")
    }
}

/// The server's side.
pub(super) fn acceptor(certificate: Certificate) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(server_config(certificate)))
}

/// The configuration of a server, without ALPN protocols.
pub(super) fn server_config(certificate: Certificate) -> ServerConfig {
    let key = PrivateKeyDer::from_pem_slice(certificate.pem()).expect("a key");
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.read()], key)
        .expect("a certificate with its key")
}

/// The client's side.
pub(super) fn client() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(Certificate::Trusted.read()).expect("a certificate");
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
