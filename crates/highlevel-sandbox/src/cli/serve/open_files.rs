//! The limit of open files, which bounds the number of connections.

/// Raises the limit of open files as far as the system allows and the sandbox needs. Returns a warning if it stays low.
#[cfg(unix)]
pub(super) fn raise_limit() -> Option<String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// All connections, and other open files.
    const WANTED: u64 = 12_000;
    let limits = getrlimit(Resource::Nofile);
    let current = limits.current.filter(|current| *current < WANTED)?;
    let wanted = limits.maximum.map_or(WANTED, |maximum| maximum.min(WANTED)).max(current);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limits.maximum });
    let allowed = if raised.is_ok() { wanted } else { current };
    (allowed < WANTED).then(|| format!("the limit of open files is {allowed}; raise it with `ulimit -n`"))
}

#[cfg(not(unix))]
pub(super) fn raise_limit() -> Option<String> {
    None
}
