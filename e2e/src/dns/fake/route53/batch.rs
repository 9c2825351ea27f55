//! What a batch asks for.

use serde::Deserialize;

/// The most records in a batch, an UPSERT counting twice, and the most characters of their values.
const RECORDS: usize = 1000;
const CHARACTERS: usize = 32_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    change_batch: Batch,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    changes: Changes,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Changes {
    #[serde(default)]
    change: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Change {
    pub(super) action: Action,
    pub(super) resource_record_set: ResourceRecordSet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Action {
    Create,
    Upsert,
    Delete,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResourceRecordSet {
    pub(super) name: String,
    #[serde(rename = "Type")]
    pub(super) kind: String,
    #[serde(rename = "TTL")]
    pub(super) ttl: u32,
    pub(super) resource_records: ResourceRecords,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResourceRecords {
    pub(super) resource_record: Vec<ResourceRecord>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResourceRecord {
    pub(super) value: String,
}

impl Change {
    pub(super) fn values(&self) -> Vec<String> {
        let records = &self.resource_record_set.resource_records.resource_record;
        records.iter().map(|record| record.value.clone()).collect()
    }
}

/// The changes of a batch, or why there are none.
pub(super) fn read(body: &str) -> Result<Vec<Change>, String> {
    let request: Request = quick_xml::de::from_str(body).map_err(|error| error.to_string())?;
    let changes = request.change_batch.changes.change;
    let weight = |change: &Change| if change.action == Action::Upsert { 2 } else { 1 };
    let records: usize = changes
        .iter()
        .map(|change| weight(change) * change.values().len())
        .sum();
    let lengths = changes.iter().map(|change| {
        let length: usize = change.values().iter().map(String::len).sum();
        weight(change) * length
    });
    let characters: usize = lengths.sum();
    if changes.is_empty() || records > RECORDS || characters > CHARACTERS {
        return Err(format!(
            "{} changes, {records} records and {characters} characters: at most {RECORDS} and {CHARACTERS}",
            changes.len()
        ));
    }
    Ok(changes)
}
