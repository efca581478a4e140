//! The installs of the registry.

use super::{Installation, Registry, Row};
use crate::oauth::resource::{Choice, MAX_LOCATIONS, TokenResource};

/// The maximum number of installs.
const MAX_INSTALLS: usize = 20_000;
/// The maximum memory of all installs, in bytes.
pub(super) const MAX_INSTALL_BYTES: usize = 12 * 1024 * 1024;

impl Registry {
    /// Adds an install, or replaces the one of the same app and resource.
    pub(crate) fn put_install(&mut self, install: Installation) {
        let key = (install.client_id.clone(), install.choice.resource.clone());
        self.changed.insert(Row::Install(key.0.clone(), key.1.clone()));
        let number = *self.install_numbers.entry(key).or_insert_with(|| {
            self.next_install += 1;
            self.next_install
        });
        self.remove_from_totals(number);
        self.add_to_totals(&install);
        self.installs.insert(number, install);
        self.evict_installs();
    }

    /// Evicts the oldest installs above the limits.
    fn evict_installs(&mut self) {
        while (self.installs.len() > MAX_INSTALLS
            || (self.install_bytes > MAX_INSTALL_BYTES && self.installs.len() > 1))
            && let Some((number, _)) = self.installs.first_key_value()
        {
            self.remove_install(*number);
        }
    }

    /// Adds an install to the memory and the index of companies.
    fn add_to_totals(&mut self, install: &Installation) {
        self.install_bytes += install.weight();
        if install.choice.install_to_future_locations {
            self.future_installs.insert((install.choice.company_id.clone(), install.client_id.clone()));
        }
    }

    /// Removes an install, if it exists, from the memory and the index of companies.
    fn remove_from_totals(&mut self, number: u64) {
        if let Some(install) = self.installs.get(&number) {
            self.install_bytes -= install.weight();
            if install.choice.install_to_future_locations {
                let key = (install.choice.company_id.clone(), install.client_id.clone());
                self.future_installs.remove(&key);
            }
        }
    }

    /// Adds a location to the install of an app on its company, if the install includes locations that are created later.
    pub(crate) fn add_future_location(&mut self, client_id: &str, company_id: &str, location_id: &str) {
        let resource = TokenResource::company(company_id);
        let Some(number) = self.number(client_id, &resource) else { return };
        self.remove_from_totals(number);
        if let Some(mut install) = self.installs.remove(&number) {
            let locations = &mut install.choice.locations;
            if locations.len() < MAX_LOCATIONS {
                locations.push(location_id.to_owned());
                self.changed.insert(Row::Install(client_id.to_owned(), resource));
            }
            self.add_to_totals(&install);
            self.installs.insert(number, install);
        }
    }

    /// Returns the client IDs of the apps that are installed on a company and the locations that are created later.
    pub(crate) fn apps_for_future_locations(&self, company_id: &str) -> Vec<String> {
        let from = self.future_installs.range((company_id.to_owned(), String::new())..);
        from.take_while(|(company, _)| company == company_id).map(|(_, client)| client.clone()).collect()
    }

    fn remove_install(&mut self, number: u64) -> Option<Installation> {
        self.remove_from_totals(number);
        let install = self.installs.remove(&number)?;
        let (client, resource) = (install.client_id.clone(), install.choice.resource.clone());
        self.install_numbers.remove(&(client.clone(), resource.clone()));
        self.changed.insert(Row::Install(client, resource));
        Some(install)
    }

    /// Marks the event of an install as sent. Returns `true` if it was not yet marked.
    pub(crate) fn announce(&mut self, client_id: &str, resource: &TokenResource) -> bool {
        let Some(number) = self.number(client_id, resource) else { return false };
        let Some(install) = self.installs.get_mut(&number) else { return false };
        let is_new = !std::mem::replace(&mut install.announced, true);
        if is_new {
            self.changed.insert(Row::Install(client_id.to_owned(), resource.clone()));
        }
        is_new
    }

    /// Removes an install with its codes and tokens. For a company, also removes those of the company's locations. Returns
    /// the removed installs.
    pub(crate) fn uninstall(&mut self, client_id: &str, resource: &TokenResource) -> Vec<Installation> {
        let is_removed = |client: &str, choice: &Choice| {
            client == client_id
                && match resource {
                    TokenResource::Location(_) => choice.resource == *resource,
                    TokenResource::Company(id) => choice.company_id == *id,
                }
        };
        let numbers = self.installs.iter().filter(|(_, each)| is_removed(&each.client_id, &each.choice));
        let numbers: Vec<u64> = numbers.map(|(number, _)| *number).collect();
        let removed = numbers.into_iter().filter_map(|number| self.remove_install(number)).collect();
        if let TokenResource::Location(id) = resource {
            // The location may also be part of its company's install.
            for install in self.installs.values_mut().filter(|each| each.client_id == client_id) {
                let before = install.weight();
                let count = install.choice.locations.len();
                install.choice.locations.retain(|each| each != id);
                if install.choice.locations.len() < count {
                    self.install_bytes = self.install_bytes - before + install.weight();
                    let resource = install.choice.resource.clone();
                    self.changed.insert(Row::Install(client_id.to_owned(), resource));
                }
            }
        }
        let codes = self.codes.iter().filter(|(_, code)| is_removed(&code.client_id, &code.choice));
        let codes: Vec<String> = codes.map(|(text, _)| text.clone()).collect();
        for text in codes {
            self.codes.remove(&text);
            self.changed.insert(Row::Code(text));
        }
        self.revoke_where(|subject| is_removed(&subject.client_id, &subject.choice));
        removed
    }

    /// Returns the installs in the order of installation.
    pub(crate) fn installs(&self) -> impl Iterator<Item = &Installation> {
        self.installs.values()
    }

    pub(crate) fn install(&self, client_id: &str, resource: &TokenResource) -> Option<&Installation> {
        self.installs.get(&self.number(client_id, resource)?)
    }

    /// Returns `true` if an app is installed on a location of a company, separately or with the company.
    pub(crate) fn is_installed_on(&self, client_id: &str, company_id: &str, location_id: &str) -> bool {
        let install = self.install(client_id, &TokenResource::location(location_id));
        install.is_some_and(|install| install.choice.company_id == company_id)
    }

    fn number(&self, client_id: &str, resource: &TokenResource) -> Option<u64> {
        self.install_numbers.get(&(client_id.to_owned(), resource.clone())).copied()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::oauth::SandboxApp;

    const APP: &str = "app-1";

    fn install(company: &str, locations: usize) -> Installation {
        let locations = (0..locations).map(|number| format!("{company}-{number:0100}")).collect();
        Installation {
            client_id: APP.to_owned(),
            choice: Choice::company(company, locations).with_future_locations(true),
            installed_at: DateTime::UNIX_EPOCH,
            announced: true,
            is_future_location: false,
        }
    }

    fn assert_consistent(registry: &Registry) {
        let bytes: usize = registry.installs().map(Installation::weight).sum();
        assert_eq!(registry.install_bytes, bytes);
        let included = registry.installs().filter(|install| install.choice.install_to_future_locations);
        assert_eq!(registry.future_installs.len(), included.count());
    }

    #[test]
    fn installs_are_bounded_and_the_index_follows_every_change() {
        let mut registry = Registry::new(SandboxApp::new(APP, "secret"));
        for number in 0..100 {
            registry.put_install(install(&format!("company{number}"), MAX_LOCATIONS));
            assert!(registry.install_bytes <= MAX_INSTALL_BYTES, "{number}");
        }
        assert_consistent(&registry);
        assert!(registry.installs().count() < 100);
        assert_eq!(registry.apps_for_future_locations("company0"), Vec::<String>::new(), "evicted");
        assert_eq!(registry.apps_for_future_locations("company99"), [APP]);
        assert_eq!(registry.apps_for_future_locations("company9"), Vec::<String>::new());

        // An install with the maximum number of locations gets no more of them.
        registry.add_future_location(APP, "company99", "more");
        registry.put_install(install("small", 1));
        registry.add_future_location(APP, "small", "more");
        registry.add_future_location(APP, "unknown", "more");
        let locations = |company: &str| {
            let install = registry.install(APP, &TokenResource::company(company)).unwrap();
            install.choice.locations.len()
        };
        assert_eq!((locations("company99"), locations("small")), (MAX_LOCATIONS, 2));
        assert_consistent(&registry);

        registry
            .put_install(Installation { choice: Choice::location("more", "small"), ..install("small", 0) });
        registry.uninstall(APP, &TokenResource::location("more"));
        assert_consistent(&registry);
        let small = install("small", 1);
        registry
            .put_install(Installation { choice: small.choice.clone().with_future_locations(false), ..small });
        assert_eq!(registry.apps_for_future_locations("small"), Vec::<String>::new());
        assert_consistent(&registry);
        registry.uninstall(APP, &TokenResource::company("company99"));
        assert_eq!(registry.apps_for_future_locations("company99"), Vec::<String>::new());
        assert_consistent(&registry);
    }
}
