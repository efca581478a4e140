//! Self-signed certificates, a server that presents them, and a client that trusts one of them.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A self-signed certificate for `localhost` and 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certificate {
    /// Trusted by [`client`].
    Trusted,
    /// Not trusted by any client.
    Untrusted,
}

impl Certificate {
    fn pem(self) -> &'static [u8] {
        match self {
            Self::Trusted => include_bytes!("trusted.pem"),
            Self::Untrusted => include_bytes!("untrusted.pem"),
        }
    }

    fn read(self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem()).expect("a certificate")
    }
}

/// Returns the TLS acceptor of a server that presents the certificate.
pub(super) fn acceptor(certificate: Certificate) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(server_config(certificate)))
}

/// Returns the configuration of a server, without ALPN protocols.
pub(super) fn server_config(certificate: Certificate) -> ServerConfig {
    let key = PrivateKeyDer::from_pem_slice(certificate.pem()).expect("a key");
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.read()], key)
        .expect("a certificate with its key")
}

/// Returns the configuration of a client that trusts [`Certificate::Trusted`].
pub(super) fn client() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(Certificate::Trusted.read()).expect("a certificate");
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
