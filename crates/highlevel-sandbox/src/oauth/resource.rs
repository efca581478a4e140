//! What an app can be installed on, and tokens be given for.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::model::{COMPANY_ID, Model};
use crate::weight;

/// The most locations of a company that an app can be installed on at once.
const MAX_LOCATIONS: usize = 1_000;

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
    /// A location.
    pub fn location(id: impl Into<String>) -> Self {
        Self::Location(id.into())
    }

    /// A company.
    pub fn company(id: impl Into<String>) -> Self {
        Self::Company(id.into())
    }

    /// The id, whichever it is of.
    pub fn id(&self) -> &str {
        match self {
            Self::Location(id) | Self::Company(id) => id,
        }
    }

    /// The word that requests and answers have for it.
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

/// What somebody chose to install an app on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Choice {
    pub(crate) resource: TokenResource,
    pub(crate) company_id: String,
    /// The locations of a company that the app may act for.
    #[serde(default)]
    pub(crate) locations: Vec<String>,
}

impl Choice {
    /// The memory that it takes beside itself.
    pub(crate) fn weight(&self) -> usize {
        weight::text(self.resource.id()) + weight::text(&self.company_id) + weight::texts(&self.locations)
    }

    /// What a choice amounts to in this model. Of a company, all its locations are meant if none is named.
    pub(crate) fn of(model: &Model, resource: TokenResource, locations: Vec<String>) -> Result<Self, String> {
        let company_of = |id: &str| model.location(id).map(|location| location.company_id.clone());
        match resource {
            TokenResource::Location(ref id) => {
                let company_id = company_of(id).ok_or_else(|| format!("there is no location {id}"))?;
                Ok(Self { resource, company_id, locations: Vec::new() })
            }
            TokenResource::Company(ref id) => {
                let company_id = id.clone();
                if !companies(model).contains(&id.as_str()) {
                    return Err(format!("there is no company {id}"));
                }
                if let Some(stranger) = locations.iter().find(|each| company_of(each).as_ref() != Some(id)) {
                    return Err(format!("{stranger} is not a location of the company {id}"));
                }
                let all = || model.locations().filter(|location| location.company_id == *id);
                if locations.is_empty() && all().count() > MAX_LOCATIONS || locations.len() > MAX_LOCATIONS {
                    return Err(format!(
                        "an app acts for at most {MAX_LOCATIONS} locations of a company; name those that are meant"
                    ));
                }
                let locations = if locations.is_empty() {
                    all().map(|each| each.id.clone()).collect()
                } else {
                    locations
                };
                Ok(Self { resource, company_id, locations })
            }
        }
    }
}

/// The companies, the sandbox's own first.
pub(crate) fn companies(model: &Model) -> Vec<&str> {
    let mut seen = HashSet::from([COMPANY_ID]);
    let others = model.locations().map(|location| location.company_id.as_str());
    let others: Vec<&str> = others.filter(|company| seen.insert(company)).collect();
    [&[COMPANY_ID][..], &others].concat()
}
