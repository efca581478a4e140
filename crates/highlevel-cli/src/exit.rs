//! The exit codes.

use highlevel::Delivery;

/// The result of a command, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitReason {
    /// The reader of the output has closed it. The command is not at fault.
    OutputClosed,
    /// A check has failed, or this machine lacks something.
    Failure,
    /// The command cannot be executed as it is written.
    Usage,
    /// See [`Delivery::NotSent`].
    NotSent,
    /// See [`Delivery::Rejected`].
    Rejected,
    /// See [`Delivery::Unknown`].
    Unknown,
    /// See [`Delivery::Accepted`].
    Unreadable,
    /// The search has no result.
    NotFound,
    /// Several messages could be the one that is looked for.
    Ambiguous,
}

impl ExitReason {
    /// Returns the exit code of the process.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotSent => 3,
            Self::Rejected => 4,
            Self::Unknown => 5,
            Self::Unreadable => 6,
            Self::NotFound => 7,
            Self::Ambiguous => 8,
        }
    }

    /// Returns the name of the outcome in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OutputClosed | Self::Failure => "failure",
            Self::Usage => "usage",
            Self::NotSent => "not-sent",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Unreadable => "accepted-unreadable",
            Self::NotFound => "not-found",
            Self::Ambiguous => "ambiguous",
        }
    }
}

impl From<Delivery> for ExitReason {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::NotSent => Self::NotSent,
            Delivery::Rejected => Self::Rejected,
            Delivery::Unknown => Self::Unknown,
            Delivery::Accepted => Self::Unreadable,
        }
    }
}
