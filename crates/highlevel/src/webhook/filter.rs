//! The apps and locations whose events are accepted.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::claim::panic_text;
use super::envelope::Field;
use super::error::{WebhookError, WebhookErrorKind};
use crate::{AppId, LocationId};

/// The apps whose events are accepted.
#[derive(Debug, Clone)]
pub(super) enum AcceptedApps {
    Any,
    Only(AppId),
    IfPresent(AppId),
}

impl AcceptedApps {
    /// Checks the `appId` of an event.
    pub(super) fn check(&self, app: &Field<'_>) -> Result<(), WebhookError> {
        let (expected, is_required) = match self {
            Self::Any => return Ok(()),
            Self::Only(app) => (app, true),
            Self::IfPresent(app) => (app, false),
        };
        let text = match app {
            Field::Text(found) if found == expected.as_str() => return Ok(()),
            Field::Missing | Field::Null if !is_required => return Ok(()),
            Field::Text(found) => format!(
                "the event is for app {}, not {}; check that it is the app id of the marketplace, without a suffix",
                found.escape_debug(),
                expected.as_str().escape_debug()
            ),
            Field::Missing | Field::Null => {
                "the event has no `appId`; for the delivery URL of a conversation provider, build the receiver with \
                 `.app_id_if_present(..)`"
                    .to_owned()
            }
            Field::Other => "`appId` is not a string".to_owned(),
        };
        Err(WebhookError::new(WebhookErrorKind::OtherApp, text))
    }
}

type LocationPredicate = dyn Fn(Option<&LocationId>) -> bool + Send + Sync;

/// The locations whose events are accepted.
#[derive(Clone)]
pub(super) enum Locations {
    All,
    These(Vec<LocationId>),
    Where(Arc<LocationPredicate>),
}

impl Locations {
    /// Checks the `locationId` of an event.
    pub(super) fn check(&self, location: &Field<'_>) -> Result<(), WebhookError> {
        let location = location.text();
        match catch_unwind(AssertUnwindSafe(|| self.accept(location))) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(panic) => {
                let cause = format!("`locations_where` panicked: {}", panic_text(panic.as_ref()));
                let text = "the location of the event could not be checked; respond with 429, and HighLevel redelivers it";
                return Err(WebhookError::new(WebhookErrorKind::Unavailable, text).with_source(cause.into()));
            }
        }
        let text = match location {
            Some(location) => {
                format!("location {} is not one of those that the receiver accepts", location.escape_debug())
            }
            None => "the event has no `locationId`; to accept such events, build the receiver with \
                     `.locations_where(..)`"
                .to_owned(),
        };
        Err(WebhookError::new(WebhookErrorKind::OtherLocation, text))
    }

    fn accept(&self, location: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::These(locations) => location
                .is_some_and(|location| locations.iter().any(|accepted| accepted.as_str() == location)),
            Self::Where(accepts) => accepts(location.map(LocationId::from).as_ref()),
        }
    }
}

impl fmt::Debug for Locations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::These(locations) => f.debug_list().entries(locations).finish(),
            Self::Where(_) => f.write_str("Where(..)"),
        }
    }
}
