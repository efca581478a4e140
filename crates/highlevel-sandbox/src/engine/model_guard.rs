//! Locked access to the model.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard};

use crate::model::Model;

/// A guard of the model, for reading and changing it. Changes are not visible to holders of [`Engine::shared_model`]:
/// the model is copied on write.
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
