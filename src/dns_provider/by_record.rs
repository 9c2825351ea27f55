//! Sets at providers that have records: values come and go one by one, so that there is no moment without any.

use std::collections::BTreeMap;

use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};

use super::Failure;

/// A record at a provider.
pub(super) struct Entry {
    pub(super) id: u64,
    /// The canonical data.
    pub(super) value: String,
    /// In seconds.
    pub(super) ttl: u32,
    /// Whether it can be given other data; if not, another is made and this one removed.
    pub(super) can_change: bool,
}

/// What such a provider can do. Ids are looked up for each change and not kept.
pub(super) trait ByRecord: Sync {
    /// The records of a set.
    fn find(&self, name: &Fqdn, type_: &RecordType) -> impl Future<Output = Result<Vec<Entry>, Failure>> + Send;
    /// Makes a record of a set.
    fn create(&self, set: &RrSet, value: &str) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Gives a record other data and TTL: those of a set of the same name and type.
    fn update(&self, id: u64, set: &RrSet, value: &str) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Removes a record.
    fn delete(&self, id: u64) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Makes changes in their order.
///
/// # Errors
/// [`Failure::Changed`] when a set is no longer as it was read; nothing of it is changed then.
pub(super) async fn write(provider: &impl ByRecord, changes: &[Change]) -> Result<(), Failure> {
    for change in changes {
        if let Some(before) = &change.before {
            let mut there: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
            for entry in provider.find(&before.name, &before.type_).await? {
                there.entry(entry.value.clone()).or_default().push(entry);
            }
            if !there.keys().eq(&before.values) {
                return Err(Failure::Changed(format!(
                    "the records {} {} are no longer as they were read",
                    before.name, before.type_
                )));
            }
            replace(provider, there, change.after.as_ref()).await?;
        } else if let Some(after) = &change.after {
            for value in &after.values {
                provider.create(after, value).await?;
            }
        }
    }
    Ok(())
}

/// Makes of the records of a set those of another: what stays is left alone, what goes becomes what comes, and what
/// is left over goes last.
async fn replace(
    provider: &impl ByRecord,
    mut there: BTreeMap<String, Vec<Entry>>,
    after: Option<&RrSet>,
) -> Result<(), Failure> {
    let mut leaving = Vec::new();
    if let Some(set) = after {
        let mut missing = Vec::new();
        for value in &set.values {
            let entries = there.remove(value).unwrap_or_default();
            let (fixed, others): (Vec<_>, Vec<_>) = entries
                .into_iter()
                .partition(|entry| !entry.can_change && entry.ttl != set.ttl);
            if others.is_empty() {
                missing.push(value);
            }
            leaving.extend(fixed);
            for entry in others.iter().filter(|entry| entry.ttl != set.ttl) {
                provider.update(entry.id, set, value).await?;
            }
        }
        leaving.extend(there.into_values().flatten());
        for value in missing {
            if let Some(place) = leaving.iter().position(|entry| entry.can_change) {
                let entry = leaving.swap_remove(place);
                provider.update(entry.id, set, value).await?;
            } else {
                provider.create(set, value).await?;
            }
        }
    } else {
        leaving.extend(there.into_values().flatten());
    }
    for entry in leaving {
        provider.delete(entry.id).await?;
    }
    Ok(())
}
