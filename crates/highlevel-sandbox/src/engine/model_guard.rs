//! Access to what exists.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard};

use crate::model::Model;

/// What exists while it is read or changed. A holder of [`Engine::shared_model`] keeps what existed before a change.
pub(crate) struct ModelMut<'a>(pub(super) MutexGuard<'a, Arc<Model>>);

impl Deref for ModelMut<'_> {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.0
    }
}

impl DerefMut for ModelMut<'_> {
    fn deref_mut(&mut self) -> &mut Model {
        Arc::make_mut(&mut self.0)
    }
}
