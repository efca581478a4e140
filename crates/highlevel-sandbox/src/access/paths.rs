//! The paths of the admin API and the inspector.

/// The prefix of the admin API.
pub(crate) const ADMIN_PREFIX: &str = "/_sandbox/";
/// The path of the inspector.
pub(crate) const INSPECTOR_PATH: &str = "/_sandbox/ui";

/// Returns `true` for a path of the inspector.
pub(crate) fn is_inspector_path(path: &str) -> bool {
    path.strip_prefix(INSPECTOR_PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
