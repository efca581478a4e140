//! Fault rules.

use super::state::Engine;
use crate::fault::{ActiveFault, FaultRule};
use crate::operation::Operation;

impl Engine {
    /// Adds a fault rule after all existing ones.
    ///
    /// # Errors
    ///
    /// Returns the reason if the rule can never trigger, or if there are too many rules.
    pub(crate) fn add_fault(&self, rule: FaultRule) -> Result<ActiveFault, String> {
        let active = self.faults.add(rule, &Operation::ALL.map(Operation::id))?;
        self.changed("faults");
        Ok(active)
    }

    /// Removes a fault rule and ends all delays that it caused. Returns `false` if there is no such rule.
    pub(crate) fn remove_fault(&self, id: u64) -> bool {
        let removed = self.faults.remove(id);
        if removed {
            self.changed("faults");
        }
        removed
    }

    /// Removes all fault rules.
    pub(crate) fn clear_faults(&self) {
        self.faults.clear();
        self.changed("faults");
    }
}
