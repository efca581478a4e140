//! Classifies errors of reqwest.

use crate::classify::TransportError;

/// Returns the kind of an error of reqwest.
pub(crate) fn classify_error(error: &reqwest::Error) -> TransportError {
    if is_about_a_certificate(error) {
        TransportError::Certificate
    } else if error.is_connect() || is_connection_refused(error) {
        TransportError::Connect
    } else if is_refused_stream(error) {
        TransportError::RefusedStream
    } else if error.is_timeout() {
        TransportError::Timeout
    } else {
        TransportError::Broken
    }
}

/// Returns `true` if the certificate of the server was not accepted: expired, for another name, or of an unknown authority.
/// With the TLS of the operating system this cannot be distinguished from other errors of connecting.
fn is_about_a_certificate(error: &reqwest::Error) -> bool {
    #[cfg(feature = "__rustls")]
    return causes(error)
        .any(|cause| matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))));
    #[cfg(not(feature = "__rustls"))]
    return {
        let _ = error;
        false
    };
}

/// Returns `true` if no connection was made, as a layer reports it.
fn is_connection_refused(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// Returns `true` if the server reset the HTTP/2 stream with `REFUSED_STREAM`. A server may do so only if it has not processed
/// the request, nor passed it on (RFC 9113, section 8.7). A `GOAWAY` is no such proof here: its error does not tell whether
/// the stream was above its last stream identifier.
fn is_refused_stream(error: &reqwest::Error) -> bool {
    #[cfg(feature = "http2")]
    return causes(error).filter_map(|cause| cause.downcast_ref::<h2::Error>()).any(|error| {
        error.is_reset() && error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
    });
    #[cfg(not(feature = "http2"))]
    return {
        let _ = error;
        false
    };
}

/// Iterates over an error and its causes, also those that an I/O error hides from `source`.
pub(super) fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}
