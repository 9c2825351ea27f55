//! The zone as it was before it is changed: at the provider where it keeps snapshots, else as a zone file in ConfigMaps of
//! the operator's namespace.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::SignedDuration;
use tremplin_core::dns::{Change, Reason, ownership, zone_file};
use tremplin_core::fault::Fault;
use tremplin_core::names::{LABEL, child};

use super::round::Round;
use super::{MANAGER, providers};
use tremplin_core::api::dns::SnapshotStatus;

/// What one ConfigMap may hold of a zone, in octets: the API server takes about a megabyte.
const PART: usize = 900_000;
/// How many exports of a zone are kept.
const KEPT: usize = 5;
/// How long a snapshot or an export is recent enough: what is tried again and again, or in parts, would push those from
/// before out of the list.
const RECENT: SignedDuration = SignedDuration::from_hours(1);

impl Round<'_> {
    /// Keeps the zone as it was, unless nothing of it is changed or removed, or it was kept lately. Tells whether it was
    /// kept now.
    pub(super) async fn snapshot(&mut self, changes: &[Change]) -> Result<bool, Fault<Reason>> {
        let touches = |change: &Change| change.before.is_some() && !change.name().is_some_and(ownership::is_kept);
        if !self.zone.safety.snapshot || !changes.iter().any(touches) {
            return Ok(false);
        }
        let last = self.facts.kept.snapshots.first().map(|snapshot| snapshot.at.0);
        if last.is_some_and(|last| self.now.duration_since(last) < RECENT) {
            return Ok(false);
        }
        let id = if self.provider.profile().snapshots {
            let made = self.provider.snapshot().await;
            made.map_err(|failure| providers::fault(&failure))?
        } else {
            Some(self.export().await?)
        };
        let Some(id) = id else { return Ok(false) };
        let at = Time(self.now);
        self.facts.kept.snapshots.insert(0, SnapshotStatus { id, at });
        self.facts.kept.snapshots.truncate(10);
        Ok(true)
    }

    /// The zone as a zone file; gives its name.
    async fn export(&mut self) -> Result<String, Fault<Reason>> {
        let sets = self
            .provider
            .read_all()
            .await
            .map_err(|failure| providers::fault(&failure))?;
        let text = zone_file::print(&sets);
        let name = child(
            &format!("dns-{}", self.zone.name),
            &format!("t{}", self.now.as_second()),
            LABEL,
        );
        for (index, part) in parts(&text).into_iter().enumerate() {
            let name = if index == 0 {
                name.clone()
            } else {
                format!("{name}.{index}")
            };
            let object = ConfigMap {
                metadata: ObjectMeta {
                    name: Some(name),
                    namespace: Some(self.dns.cluster.home.namespace.clone()),
                    ..ObjectMeta::default()
                },
                data: Some([("zone".to_owned(), part.to_owned())].into()),
                ..ConfigMap::default()
            };
            let made = self.dns.cluster.create_object(&object, MANAGER).await;
            made.map_err(|fault| fault.map(Reason::from))?;
        }
        self.drop_old_exports().await;
        Ok(name)
    }

    /// The newest few are kept. What cannot be removed now stays: it does no harm.
    async fn drop_old_exports(&mut self) {
        let home = self.dns.cluster.home.namespace.clone();
        while self.facts.kept.snapshots.len() >= KEPT {
            let Some(old) = self.facts.kept.snapshots.pop() else {
                return;
            };
            let names = std::iter::once(old.id.clone()).chain((1..).map(|index| format!("{}.{index}", old.id)));
            for name in names {
                match self.dns.cluster.read_object::<ConfigMap>(&home, &name).await {
                    Ok(Some(found)) => drop(self.dns.cluster.remove_object(&found).await),
                    Ok(None) | Err(_) => break,
                }
            }
        }
    }
}

/// The text in pieces of whole lines.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > PART {
        let end = rest
            .as_bytes()
            .iter()
            .take(PART)
            .rposition(|octet| *octet == b'\n')
            .map_or(PART, |at| at + 1);
        let (part, left) = rest.split_at(end);
        parts.push(part);
        rest = left;
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_zone_is_kept_in_pieces_of_whole_lines() {
        let text = "app 300 IN A 192.0.2.1\n".repeat(90_000);
        let parts = parts(&text);
        assert!(parts.len() > 1 && parts.iter().all(|part| part.len() <= PART && part.ends_with('\n')));
        assert_eq!(parts.concat(), text);
        assert_eq!(super::parts("x"), ["x"]);
    }
}
