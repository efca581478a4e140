//! A point in time that keeps the text it came as.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::rfc3339;

/// A point in time on the wire: RFC 3339, as HighLevel writes it.
///
/// A received text is kept unchanged, even if it is malformed. A timestamp that is sent is always well formed.
/// Any type of a date library that converts to [`SystemTime`] converts to this one.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use highlevel_wire::Timestamp;
///
/// let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_722_268_288_071);
/// let timestamp = Timestamp::from(time);
/// assert_eq!(timestamp.as_str(), "2024-07-29T15:51:28.071Z");
/// assert_eq!(timestamp.to_system_time(), Some(time));
/// assert!("yesterday".parse::<Timestamp>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(String);

impl Timestamp {
    /// The text as it is on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The point in time, or `None` if the text that came is not RFC 3339.
    pub fn to_system_time(&self) -> Option<SystemTime> {
        rfc3339::parse(&self.0)
    }
}

impl From<SystemTime> for Timestamp {
    /// Formats the time in UTC with milliseconds. Years outside 0 to 9999, which RFC 3339 does not support, become the nearest
    /// supported year.
    fn from(time: SystemTime) -> Self {
        let milliseconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_nanos().div_ceil(1_000_000)).map_or(i64::MIN, |ms| -ms)
            }
        };
        Self(rfc3339::format(milliseconds))
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match rfc3339::parse(text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(InvalidTimestamp(text.to_owned())),
        }
    }
}

impl TryFrom<&str> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A text that is not a point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTimestamp(String);

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a point in time: write it like 2024-07-29T15:51:28.071Z (RFC 3339)",
            self.0.escape_debug()
        )
    }
}

impl std::error::Error for InvalidTimestamp {}
