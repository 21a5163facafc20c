//! The providers of the configuration, by name.

use std::collections::HashMap;
use std::sync::Arc;

use super::Provider;

/// All configured providers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Providers(Arc<HashMap<String, Provider>>);

impl Providers {
    pub fn new(providers: impl IntoIterator<Item = Provider>) -> Self {
        let by_name = providers.into_iter().map(|provider| (provider.name().to_string(), provider));
        Self(Arc::new(by_name.collect()))
    }

    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.0.values()
    }
}
