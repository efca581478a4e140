//! Texts of errors about tokens.

use super::store::Resource;
use crate::CompanyId;

/// Describes a resource: `location ve9EPM428h8vShlRW1KT`.
pub(super) fn describe(resource: &Resource) -> String {
    format!("{} {}", resource.kind(), resource.id().escape_debug())
}

/// States that the tokens of a resource no longer work, and why; the owner has to authorize the app.
pub(super) fn reinstall(resource: &Resource, why: &str) -> String {
    format!(
        "the app must be reinstalled on the {}: {why}; send its owner to the URL of `authorize_url`",
        describe(resource)
    )
}

/// States that there are no tokens. `company` is the company that the caller named for a location.
pub(super) fn not_installed(resource: &Resource, company: Option<CompanyId>) -> String {
    let name = describe(resource);
    let missing = match (resource, company) {
        (Resource::Location(_), Some(company)) => {
            format!("there are no tokens of the {name}, nor of the {}", describe(&Resource::Company(company)))
        }
        (Resource::Location(_), None) => format!(
            "there are no tokens of the {name}; if the app is installed on its company, use `app.company(…).location(…)`"
        ),
        (Resource::Company(_), _) => format!("there are no tokens of the {name}"),
    };
    format!("{missing}: the app must be installed, starting at the URL of `authorize_url`")
}
