//! Locations and companies, which apps are installed on and tokens are issued for.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::model::{COMPANY_ID, Model};
use crate::weight;

/// The maximum number of locations in one installation on a company.
pub(super) const MAX_LOCATIONS: usize = 1_000;

/// A location (sub-account) or a company (agency).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TokenResource {
    /// The location with this id.
    #[serde(rename = "locationId")]
    Location(String),
    /// The company with this id.
    #[serde(rename = "companyId")]
    Company(String),
}

impl TokenResource {
    /// Creates the resource for a location.
    pub fn location(id: impl Into<String>) -> Self {
        Self::Location(id.into())
    }

    /// Creates the resource for a company.
    pub fn company(id: impl Into<String>) -> Self {
        Self::Company(id.into())
    }

    /// Returns the resource of a private integration token, for which one of the two IDs is given.
    pub(crate) fn of_private_integration(
        location_id: Option<String>,
        company_id: Option<String>,
    ) -> Result<Self, &'static str> {
        match (location_id, company_id) {
            (Some(id), None) => Ok(Self::Location(id)),
            (None, Some(id)) => Ok(Self::Company(id)),
            _ => Err("a private integration token needs either `locationId` or `companyId`"),
        }
    }

    /// Returns the ID of the location or company.
    pub fn id(&self) -> &str {
        match self {
            Self::Location(id) | Self::Company(id) => id,
        }
    }

    /// Returns the value of the fields `user_type` and `userType`.
    pub(crate) fn user_type(&self) -> &'static str {
        match self {
            Self::Location(_) => "Location",
            Self::Company(_) => "Company",
        }
    }
}

impl std::fmt::Display for TokenResource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Location(id) => write!(formatter, "location {id}"),
            Self::Company(id) => write!(formatter, "company {id}"),
        }
    }
}

/// The location or company that was chosen for an installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Choice {
    pub(crate) resource: TokenResource,
    pub(crate) company_id: String,
    /// The locations of a company that the app may act for.
    #[serde(default)]
    pub(crate) locations: Vec<String>,
    /// For a company, the app is also installed on the locations that are created later.
    #[serde(default)]
    pub(crate) install_to_future_locations: bool,
}

impl Choice {
    /// Creates the choice of a location.
    pub(crate) fn location(id: impl Into<String>, company_id: impl Into<String>) -> Self {
        Self {
            resource: TokenResource::Location(id.into()),
            company_id: company_id.into(),
            locations: Vec::new(),
            install_to_future_locations: false,
        }
    }

    /// Creates the choice of a company, without future locations.
    pub(crate) fn company(id: impl Into<String>, locations: Vec<String>) -> Self {
        let company_id: String = id.into();
        let resource = TokenResource::Company(company_id.clone());
        Self { resource, company_id, locations, install_to_future_locations: false }
    }

    /// Sets whether the app is also installed on the locations that are created later. Has no effect for a location.
    pub(crate) fn with_future_locations(mut self, install_to_future_locations: bool) -> Self {
        self.install_to_future_locations =
            install_to_future_locations && matches!(self.resource, TokenResource::Company(_));
        self
    }

    /// Returns the memory that the fields own, in bytes.
    pub(crate) fn weight(&self) -> usize {
        weight::text(self.resource.id()) + weight::text(&self.company_id) + weight::texts(&self.locations)
    }

    /// Validates a choice against the model. For a company, an empty list of locations selects all of them.
    ///
    /// # Errors
    ///
    /// Returns a message if the location or company does not exist, or the list of locations is invalid or too long.
    pub(crate) fn of(model: &Model, resource: TokenResource, locations: Vec<String>) -> Result<Self, String> {
        let company_of = |id: &str| model.location(id).map(|location| location.company_id.clone());
        match resource {
            TokenResource::Location(id) => {
                let company_id = company_of(&id).ok_or_else(|| format!("location {id} does not exist"))?;
                Ok(Self::location(id, company_id))
            }
            TokenResource::Company(id) => {
                if !companies(model).contains(&id.as_str()) {
                    return Err(format!("company {id} does not exist"));
                }
                if let Some(foreign) = locations.iter().find(|each| company_of(each).as_ref() != Some(&id)) {
                    return Err(format!("location {foreign} does not belong to company {id}"));
                }
                let all = || model.locations().filter(|location| location.company_id == id);
                if locations.is_empty() && all().count() > MAX_LOCATIONS || locations.len() > MAX_LOCATIONS {
                    return Err(format!(
                        "an installation has at most {MAX_LOCATIONS} locations; list the locations to install on"
                    ));
                }
                let locations = if locations.is_empty() {
                    all().map(|each| each.id.clone()).collect()
                } else {
                    locations
                };
                Ok(Self::company(id, locations))
            }
        }
    }
}

/// Returns the IDs of all companies, starting with the default company.
pub(crate) fn companies(model: &Model) -> Vec<&str> {
    let mut seen = HashSet::from([COMPANY_ID]);
    let others = model.locations().map(|location| location.company_id.as_str());
    let others: Vec<&str> = others.filter(|company| seen.insert(company)).collect();
    [&[COMPANY_ID][..], &others].concat()
}
