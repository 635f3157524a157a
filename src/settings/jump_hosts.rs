//! Jump hosts with their secrets, each made once and shared by all devices behind it.

use super::inventory::Inventory;
use super::secrets::Fetcher;
use super::select::{Fetched, with_first};
use crate::model::jump::JumpHost;
use std::collections::HashMap;
use std::sync::Arc;

/// The jump hosts met so far.
pub(super) struct Hosts<'a> {
    inventory: &'a Inventory,
    known: HashMap<String, Result<Arc<JumpHost>, String>>,
}

impl<'a> Hosts<'a> {
    pub(super) fn new(inventory: &'a Inventory) -> Self {
        Self {
            inventory,
            known: HashMap::new(),
        }
    }

    /// The jump host of this name and those in front of it, or why its secrets cannot be had.
    pub(super) fn get(
        &mut self,
        name: &str,
        fetcher: &mut Fetcher<'_>,
    ) -> Result<Arc<JumpHost>, String> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let made = self.make(name, fetcher);
        self.known.insert(name.to_owned(), made.clone());
        made
    }

    fn make(&mut self, name: &str, fetcher: &mut Fetcher<'_>) -> Result<Arc<JumpHost>, String> {
        let missing = || format!("there is no jump host `{name}`");
        let spec = self.inventory.jumps.get(name).ok_or_else(missing)?;
        let credentials: Result<Vec<_>, _> = spec
            .credentials
            .iter()
            .map(|name| -> Fetched { self.inventory.fetch(name, fetcher) })
            .collect();
        let credentials = credentials.and_then(|all| with_first(all).ok_or_else(missing));
        let credentials = credentials.map_err(|why| format!("jump host `{name}`: {why}"))?;
        let front = match &spec.jump {
            Some(front) => Some(self.get(front, fetcher)?),
            None => None,
        };
        Ok(Arc::new(spec.jump_host(credentials, front)))
    }
}
