//! Locations that are created after an app was installed on their company.

use std::sync::Arc;

use crate::engine::state::Engine;
use crate::model::{Conflict, Record};
use crate::oauth::registry::Installation;
use crate::oauth::resource::Choice;
use crate::oauth::{InstallEvents, TokenResource};

impl Engine {
    /// Adds or replaces a record. On a new location, all apps are installed whose install on the company includes the
    /// locations that are created later.
    pub(crate) fn put_record(self: &Arc<Self>, record: Record) -> Result<(), Conflict> {
        let mut model = self.model();
        let created = match &record {
            Record::Location(location) if model.location(&location.id).is_none() => {
                Some((location.id.clone(), location.company_id.clone()))
            }
            _ => None,
        };
        self.put(&mut model, [record])?;
        if let Some((id, company_id)) = created {
            self.install_on_created_location(&id, &company_id);
        }
        Ok(())
    }

    fn install_on_created_location(self: &Arc<Self>, id: &str, company_id: &str) {
        let now = self.clock.now();
        let mut credentials = self.credentials_mut();
        let registry = &mut credentials.oauth;
        let announced = registry.settings().install_events == InstallEvents::Never;
        for client_id in registry.apps_for_future_locations(company_id) {
            let Some(app) = registry.app(&client_id).cloned() else { continue };
            if registry.install(&client_id, &TokenResource::location(id)).is_some() {
                continue;
            }
            let choice = Choice::location(id, company_id);
            registry.add_future_location(&client_id, company_id, id);
            registry.put_install(Installation {
                client_id,
                choice: choice.clone(),
                installed_at: now,
                announced,
                is_future_location: true,
            });
            self.publish_install(registry, &app, &choice, now);
        }
    }
}
