//! How many files and connections the process may have open.

/// The number of files that may be open now, if there is a limit.
#[cfg(unix)]
pub(crate) fn open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// The number of files that may be open now, if there is a limit.
#[cfg(not(unix))]
pub(crate) fn open_files() -> Option<u64> {
    None
}

/// What a limit of open files leaves: connections of clients, and attempts of webhooks that are under way.
pub(crate) fn shares(open_files: Option<u64>, connections: usize, attempts: usize) -> (usize, usize) {
    /// The state file, what the runtime needs, and what the rest of the program has.
    const OTHERS: usize = 32;
    let Some(files) = open_files else { return (connections, attempts) };
    let files = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(OTHERS);
    let attempts = attempts.min(files / 4).max(4);
    (connections.min(files.saturating_sub(attempts).max(4)), attempts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_attempts_fit_into_the_files() {
        let cases = [
            (None, (10_000, 1_024)),
            (Some(u64::MAX), (10_000, 1_024)),
            (Some(20_000), (10_000, 1_024)),
            (Some(1_024), (744, 248)),
            (Some(256), (168, 56)),
            (Some(10), (4, 4)),
        ];
        for (files, expected) in cases {
            assert_eq!(shares(files, 10_000, 1_024), expected, "{files:?}");
        }
        assert_eq!(shares(Some(1_024), 3, 1_024), (3, 248));
    }
}
