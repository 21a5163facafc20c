//! The providers of the configuration, by name.

use std::collections::HashMap;
use std::sync::Arc;

use super::Provider;

/// All configured providers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Providers(Arc<HashMap<String, Box<dyn Provider>>>);

impl Providers {
    pub fn new(providers: impl IntoIterator<Item = Box<dyn Provider>>) -> Self {
        let by_name = providers.into_iter().map(|provider| (provider.name().to_string(), provider));
        Self(Arc::new(by_name.collect()))
    }

    pub fn get(&self, name: &str) -> Option<&dyn Provider> {
        self.0.get(name).map(|provider| &**provider)
    }

    /// The one that places calls; of several the first by name.
    pub fn dialler(&self) -> Option<&dyn Provider> {
        self.iter().filter(|provider| provider.dialler().is_some()).min_by_key(|provider| provider.name().clone())
    }

    pub fn iter(&self) -> impl Iterator<Item = &dyn Provider> {
        self.0.values().map(|provider| &**provider)
    }
}
