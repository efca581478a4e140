//! Texts that many records have in common.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt::{self, Debug, Display, Formatter};
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::weight;

/// A text whose clones share its memory.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SharedText(Arc<str>);

impl SharedText {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the memory usage of a text that no other record has, in bytes.
    pub(super) fn weight(&self) -> usize {
        /// The counts of the `Arc`.
        const COUNTS: usize = 16;
        weight::block(COUNTS + self.len())
    }

    /// Returns the memory usage of a text that many records have: none, unless it is too long to be shared.
    pub(super) fn common_weight(&self) -> usize {
        if self.len() > MAX_POOLED { self.weight() } else { 0 }
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for SharedText {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for SharedText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for SharedText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<SharedText> for String {
    fn from(text: SharedText) -> Self {
        text.as_ref().to_owned()
    }
}

impl AsRef<str> for SharedText {
    fn as_ref(&self) -> &str {
        self
    }
}

impl PartialEq<str> for SharedText {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for SharedText {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialEq<String> for SharedText {
    fn eq(&self, other: &String) -> bool {
        **self == **other
    }
}

impl Debug for SharedText {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(&**self, formatter)
    }
}

impl Display for SharedText {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&**self, formatter)
    }
}

impl Serialize for SharedText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for SharedText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// The maximum length of a text in a [`TextPool`], in bytes.
pub(super) const MAX_POOLED: usize = 32;
/// The maximum number of texts in a pool.
const MAX_TEXTS: usize = 10_000;

/// The texts that the next record may have in common with earlier ones.
///
/// A full pool is emptied: records do not lose their texts, but later ones do not share them.
#[derive(Clone, Debug, Default)]
pub(super) struct TextPool(HashSet<SharedText>);

impl TextPool {
    /// Returns a text that shares its memory with equal ones.
    pub(super) fn get(&mut self, text: &str) -> SharedText {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        self.insert(SharedText::from(text))
    }

    /// Returns `true` if a text shares its memory with equal ones, or is too long for that.
    pub(super) fn has(&self, text: &SharedText) -> bool {
        text.len() > MAX_POOLED || self.0.get(text).is_some_and(|known| Arc::ptr_eq(&known.0, &text.0))
    }

    fn insert(&mut self, text: SharedText) -> SharedText {
        if text.len() <= MAX_POOLED {
            if self.0.len() >= MAX_TEXTS {
                self.0.clear();
            }
            self.0.insert(text.clone());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_their_memory() {
        let mut pool = TextPool::default();
        let first = pool.get("l1C08ntBrFjLS0elLIYU");
        let second = pool.get("l1C08ntBrFjLS0elLIYU");
        assert!(pool.has(&first) && pool.has(&second) && Arc::ptr_eq(&first.0, &second.0));
        assert!(!pool.has(&SharedText::from(&*first)));
    }

    #[test]
    fn a_pool_is_bounded() {
        let mut pool = TextPool::default();
        for number in 0..=MAX_TEXTS {
            pool.get(&number.to_string());
        }
        assert_eq!(pool.0.len(), 1);
        let long = pool.get(&"x".repeat(MAX_POOLED + 1));
        assert!(pool.has(&long));
        assert_eq!(pool.0.len(), 1);
    }
}
