//! The kinds of errors.

/// The kind of an [`Error`](crate::Error).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client cannot be built as configured.
    Configuration,
    /// The request is invalid; it was not sent.
    InvalidRequest,
    /// No token is available at the moment: the store, HighLevel or the token source did not return one.
    Token,
    /// HighLevel accepts none of the tokens of the location or company, or there are none: a person has to install the app
    /// there, or authorize it again. See [`auth`](crate::auth).
    NeedsAuthorization,
    /// HighLevel issues no tokens for the location while it is not active, for example because it was not paid for. The
    /// stored tokens are retained, and work again afterwards.
    LocationInactive,
    /// The rate limits of the location allow no request before the deadline of the call.
    RateLimited,
    /// The rate limiter failed, for example because the store that it shares with other processes cannot be reached;
    /// [`source`](std::error::Error::source) returns the cause.
    Limiter,
    /// No connection: name resolution, network, port, TLS, or a timeout of one of them.
    Connect,
    /// A timeout.
    Timeout,
    /// The request could not be written, or the connection broke before a response arrived.
    Connection,
    /// HighLevel responded with a status that is not 2xx.
    Status,
    /// HighLevel responded with 2xx, but the receipt cannot be read.
    Receipt,
}

impl ErrorKind {
    /// Returns the name of the kind in `snake_case`, for logs, metrics and scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::InvalidRequest => "invalid_request",
            Self::Token => "token",
            Self::NeedsAuthorization => "needs_authorization",
            Self::LocationInactive => "location_inactive",
            Self::RateLimited => "rate_limited",
            Self::Limiter => "limiter",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Status => "status",
            Self::Receipt => "receipt",
        }
    }
}
