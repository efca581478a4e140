//! Derives the limits on connections from the limit on open files.

/// Returns the current limit on open files, if there is one.
#[cfg(unix)]
pub(crate) fn open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// Returns the current limit on open files, if there is one.
#[cfg(not(unix))]
pub(crate) fn open_files() -> Option<u64> {
    None
}

/// Returns the maximum number of client connections and of concurrent webhook attempts for a limit on open files.
pub(crate) fn shares(open_files: Option<u64>, connections: usize, attempts: usize) -> (usize, usize) {
    /// Reserved for the state file, the runtime and the rest of the program.
    const RESERVED: usize = 32;
    let Some(files) = open_files else { return (connections, attempts) };
    let files = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(RESERVED);
    let attempts = attempts.min(files / 4).max(4);
    (connections.min(files.saturating_sub(attempts).max(4)), attempts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_attempts_stay_within_the_file_limit() {
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
