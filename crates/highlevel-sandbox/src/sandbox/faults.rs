//! Faults on command.

use std::io;

use crate::fault::{ActiveFault, FaultRule};
use crate::sandbox::Sandbox;

impl Sandbox {
    /// Lets something go wrong from now on: a [`Fault`](crate::Fault) on every request, or what a [`FaultRule`] says.
    /// Where several rules strike the same request, the one that was added first decides. Answers the id of the rule.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use highlevel_sandbox::{Fault, FaultRule, FaultStage, Sandbox};
    ///
    /// let sandbox = Sandbox::start().await?;
    /// // The message is stored, and the answer is lost.
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
    /// `InvalidInput` when the rule makes no sense, for example because it names an operation that does not exist.
    pub fn add_fault(&self, rule: impl Into<FaultRule>) -> io::Result<u64> {
        self.state
            .add_fault(rule.into())
            .map(|active| active.id)
            .map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))
    }

    /// The rules that are in force, oldest first, and how often each has struck.
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.state.faults.list()
    }

    /// Ends a rule, and with it everything that waits because of it. Answers whether there was one with that id.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.state.remove_fault(id)
    }

    /// Ends all rules.
    pub fn clear_faults(&self) {
        self.state.clear_faults();
    }
}
