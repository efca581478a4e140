//! Fault rules.

use std::io;

use crate::fault::{ActiveFault, FaultRule};
use crate::sandbox::Sandbox;

impl Sandbox {
    /// Adds a fault: a [`Fault`](crate::Fault) for every request, or a [`FaultRule`]. If several rules trigger on one
    /// request, the oldest rule is applied. Returns the ID of the rule.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use highlevel_sandbox::{Fault, FaultRule, FaultStage, Sandbox};
    ///
    /// let sandbox = Sandbox::start().await?;
    /// // The message is stored, and the response is lost.
    /// let id = sandbox.add_fault(FaultRule::new(Fault::RESET).stage(FaultStage::After))?;
    /// // … a client that sends now cannot know …
    /// assert_eq!(sandbox.faults()[0].hits, 0);
    /// sandbox.remove_fault(id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if the rule is invalid, for example if it names an unknown operation.
    pub fn add_fault(&self, rule: impl Into<FaultRule>) -> io::Result<u64> {
        self.state
            .add_fault(rule.into())
            .map(|active| active.id)
            .map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))
    }

    /// Returns the fault rules, oldest first, with their counts.
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.state.faults.list()
    }

    /// Removes a rule and ends all requests that it delays. Returns `true` if the rule existed.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.state.remove_fault(id)
    }

    /// Removes all rules.
    pub fn clear_faults(&self) {
        self.state.clear_faults();
    }
}
