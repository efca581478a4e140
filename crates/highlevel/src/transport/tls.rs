//! The implementations of TLS.

#[cfg(feature = "__rustls")]
use std::sync::Arc;
#[cfg(feature = "__rustls")]
use std::sync::{Mutex, OnceLock, PoisonError};

use reqwest::ClientBuilder;

use crate::{Error, Result};

/// An implementation of TLS.
///
/// Features are additive, so more of them may be compiled in than a program asks for. The choice does not depend on that: it
/// is the first of [`RustlsRing`](Self::RustlsRing), [`RustlsAwsLc`](Self::RustlsAwsLc) and [`Native`](Self::Native) whose
/// feature is on, or the one that [`TransportBuilder::tls`](super::TransportBuilder::tls) names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tls {
    /// rustls with ring, and the certificates of the platform. Needs the feature `rustls-ring`, which is on by default.
    RustlsRing,
    /// rustls with aws-lc, and the certificates of the platform. Needs the feature `aws-lc`.
    RustlsAwsLc,
    /// The TLS of the operating system. Needs the feature `native-tls`.
    Native,
    /// The TLS of reqwest as the closure of [`http_client`](super::TransportBuilder::http_client) configures it, with the
    /// features of reqwest in your `Cargo.toml`.
    Reqwest,
}

/// Returns the implementation to use; `None` if none was compiled in.
pub(super) fn choose(wanted: Option<Tls>) -> Result<Option<Tls>> {
    let compiled = [
        (Tls::RustlsRing, cfg!(feature = "rustls-ring"), "rustls-ring"),
        (Tls::RustlsAwsLc, cfg!(feature = "aws-lc"), "aws-lc"),
        (Tls::Native, cfg!(feature = "native-tls"), "native-tls"),
    ];
    let Some(wanted) = wanted else {
        return Ok(compiled.into_iter().find_map(|(tls, is_compiled, _)| is_compiled.then_some(tls)));
    };
    match compiled.into_iter().find(|(tls, ..)| *tls == wanted) {
        Some((_, false, feature)) => Err(Error::configuration(format!(
            "the TLS implementation {wanted:?} was not compiled in: turn on the feature {feature} of the crate highlevel"
        ))),
        _ => Ok(Some(wanted)),
    }
}

/// The TLS of one transport.
pub(super) struct TlsSettings {
    choice: Option<Tls>,
    #[cfg_attr(
        not(any(feature = "__rustls", feature = "native-tls")),
        allow(dead_code, reason = "no TLS reads them")
    )]
    root_certificates: Vec<u8>,
    /// Read once: the certificates of the platform take a megabyte.
    #[cfg(feature = "__rustls")]
    rustls: OnceLock<Arc<rustls::ClientConfig>>,
}

impl TlsSettings {
    pub(super) fn new(choice: Option<Tls>, root_certificates: &[u8]) -> Self {
        Self {
            choice,
            root_certificates: root_certificates.to_vec(),
            #[cfg(feature = "__rustls")]
            rustls: OnceLock::new(),
        }
    }

    /// Configures TLS, before the caller's closure does. Plain HTTP works without certificates of the system.
    pub(super) fn apply(
        &self,
        builder: ClientBuilder,
        is_https: bool,
        is_configured: bool,
        #[cfg_attr(not(feature = "__rustls"), allow(unused_variables, reason = "other TLS asks reqwest"))]
        http2: bool,
    ) -> Result<ClientBuilder> {
        match self.choice {
            #[cfg(feature = "__rustls")]
            Some(tls @ (Tls::RustlsRing | Tls::RustlsAwsLc)) => {
                let mut config = match self.rustls(tls) {
                    Ok(config) => rustls::ClientConfig::clone(&config),
                    Err(_) if !is_https => without_roots(tls)?,
                    Err(error) => return Err(error),
                };
                if http2 {
                    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
                }
                Ok(builder.tls_backend_preconfigured(config))
            }
            #[cfg(feature = "native-tls")]
            Some(Tls::Native) => {
                let certificates = reqwest::Certificate::from_pem_bundle(&self.root_certificates);
                let certificates = certificates.map_err(|error| invalid_certificates().with_source(error))?;
                if certificates.is_empty() && !self.root_certificates.is_empty() {
                    return Err(invalid_certificates());
                }
                Ok(builder.tls_backend_native().tls_certs_merge(certificates))
            }
            Some(_) => Ok(builder),
            None if is_https && !is_configured => Err(Error::configuration(
                "no TLS was compiled in: turn on one of the features rustls-ring, aws-lc or native-tls of the crate \
                 highlevel, or configure reqwest's with `.http_client(…)`",
            )),
            None => Ok(builder),
        }
    }

    /// Returns the configuration of rustls, which all transports with the same certificates share.
    #[cfg(feature = "__rustls")]
    fn rustls(&self, tls: Tls) -> Result<Arc<rustls::ClientConfig>> {
        use std::sync::Weak;

        type Key = (Tls, Vec<u8>, Vec<Option<std::ffi::OsString>>);
        static SHARED: Mutex<Vec<(Key, Weak<rustls::ClientConfig>)>> = Mutex::new(Vec::new());

        if let Some(config) = self.rustls.get() {
            return Ok(Arc::clone(config));
        }
        let files = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(std::env::var_os).to_vec();
        let key = (tls, self.root_certificates.clone(), files);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let found = shared.iter().find(|(of, _)| *of == key).and_then(|(_, config)| config.upgrade());
        let config = if let Some(config) = found {
            config
        } else {
            let config = Arc::new(with_roots(tls, &self.root_certificates)?);
            shared.retain(|(_, config)| config.strong_count() > 0);
            shared.push((key, Arc::downgrade(&config)));
            config
        };
        Ok(Arc::clone(self.rustls.get_or_init(|| config)))
    }
}

#[cfg(any(feature = "__rustls", feature = "native-tls"))]
fn invalid_certificates() -> Error {
    Error::configuration("a root certificate cannot be read: give certificates in PEM format")
}

/// The provider is handed over rather than installed: the TLS of the rest of the process is not for a library to decide.
#[cfg(feature = "__rustls")]
fn provider(tls: Tls) -> rustls::crypto::CryptoProvider {
    match tls {
        #[cfg(feature = "aws-lc")]
        Tls::RustlsAwsLc => rustls::crypto::aws_lc_rs::default_provider(),
        #[cfg(feature = "rustls-ring")]
        Tls::RustlsRing => rustls::crypto::ring::default_provider(),
        #[cfg(feature = "rustls-ring")]
        _ => rustls::crypto::ring::default_provider(),
        #[cfg(not(feature = "rustls-ring"))]
        _ => rustls::crypto::aws_lc_rs::default_provider(),
    }
}

#[cfg(feature = "__rustls")]
fn builder(tls: Tls) -> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>> {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider(tls)));
    builder.with_safe_default_protocol_versions().map_err(unusable)
}

/// Trusts the certificates of the platform and further ones in PEM format.
#[cfg(feature = "__rustls")]
fn with_roots(tls: Tls, root_certificates: &[u8]) -> Result<rustls::ClientConfig> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls_platform_verifier::Verifier;

    let builder = builder(tls)?;
    let provider = Arc::clone(builder.crypto_provider());
    let verifier = if root_certificates.is_empty() {
        Verifier::new(provider).map_err(unusable)?
    } else {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(root_certificates).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => {
                Verifier::new_with_extra_roots(certificates, provider).map_err(unusable)?
            }
            Ok(_) => return Err(invalid_certificates()),
            Err(error) => return Err(invalid_certificates().with_source(error)),
        }
    };
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// Trusts no certificate: no TLS will be used.
#[cfg(feature = "__rustls")]
fn without_roots(tls: Tls) -> Result<rustls::ClientConfig> {
    Ok(builder(tls)?.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

#[cfg(feature = "__rustls")]
fn unusable(error: rustls::Error) -> Error {
    Error::configuration(
        "TLS cannot be set up: are the root certificates of the system installed (on Debian and Alpine the package \
         ca-certificates)?",
    )
    .with_source(error)
}

/// `cargo test -p highlevel --no-default-features --lib`, and with each combination of features.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_does_not_depend_on_further_features() {
        let expected = if cfg!(feature = "rustls-ring") {
            Some(Tls::RustlsRing)
        } else if cfg!(feature = "aws-lc") {
            Some(Tls::RustlsAwsLc)
        } else if cfg!(feature = "native-tls") {
            Some(Tls::Native)
        } else {
            None
        };
        assert_eq!(choose(None).expect("a default"), expected);
    }

    #[test]
    fn an_implementation_that_was_not_compiled_in_is_rejected() {
        for (tls, is_compiled, feature) in [
            (Tls::RustlsRing, cfg!(feature = "rustls-ring"), "rustls-ring"),
            (Tls::RustlsAwsLc, cfg!(feature = "aws-lc"), "aws-lc"),
            (Tls::Native, cfg!(feature = "native-tls"), "native-tls"),
        ] {
            let client =
                crate::Client::builder().token("pit-1").base_url("http://127.0.0.1:8080").tls(tls).build();
            match client {
                Ok(_) => assert!(is_compiled, "{tls:?}"),
                Err(error) => {
                    assert!(!is_compiled, "{error}");
                    assert!(
                        error
                            .to_string()
                            .ends_with(&format!("turn on the feature {feature} of the crate highlevel"))
                    );
                }
            }
        }
    }

    #[cfg(any(feature = "__rustls", feature = "native-tls"))]
    #[test]
    fn root_certificates_that_are_none_are_rejected() {
        for pem in ["nonsense", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            let transport =
                crate::Transport::builder().root_certificates_pem(pem).build().expect("a transport");
            let builder =
                crate::Client::builder().token("pit-1").base_url("https://example.com").transport(&transport);
            let error = builder.build().expect_err("no certificate");
            assert_eq!(error.kind(), crate::ErrorKind::Configuration, "{error}");
        }
    }

    #[cfg(not(any(feature = "__rustls", feature = "native-tls")))]
    #[test]
    fn without_tls_only_plain_http_is_spoken() {
        let builder = |url: &str| crate::Client::builder().token("pit-1").base_url(url);
        let error = builder("https://services.leadconnectorhq.com").build().expect_err("no TLS");
        assert_eq!(
            error.to_string(),
            "build: no TLS was compiled in: turn on one of the features rustls-ring, aws-lc or native-tls of the crate \
             highlevel, or configure reqwest's with `.http_client(…)`"
        );
        builder("http://127.0.0.1:8080").build().expect("plain HTTP on this machine");
        let configured = builder("https://services.leadconnectorhq.com").http_client(|http| http);
        configured.build().expect("TLS is left to reqwest");
    }
}
