//! Where images come from, which version, and how they are pulled.

use serde_json::Value;

use crate::platform::Rule;

use super::Report;
use super::manifest::{Container, Manifest, items, text};

pub(super) fn check(manifest: &Manifest<'_>, report: &mut Report<'_>) {
    let Some(pods) = manifest.pods() else { return };
    for container in pods.all_containers() {
        image(manifest, &container, report);
    }
    let given: Vec<&str> = items(pods.value, "/spec/imagePullSecrets")
        .map(|secret| text(secret, "/name"))
        .collect();
    for secret in &report.platform.registries().pull_secrets {
        if !given.contains(&secret.as_str()) {
            let field = pods.field("spec.imagePullSecrets");
            report.add(
                Rule::PullSecret,
                manifest,
                field,
                format!("the pull secret {secret} is missing"),
            );
        }
    }
}

fn image(manifest: &Manifest<'_>, container: &Container<'_>, report: &mut Report<'_>) {
    let name = container.name();
    let field = container.field("image");
    let Some(written) = container.at("/image").and_then(Value::as_str) else {
        report.add(
            Rule::ImageRegistry,
            manifest,
            field,
            format!("the container {name} names no image"),
        );
        return;
    };
    let image = Parts::of(written);
    if !image.names_registry() {
        report.add(
            Rule::ImageRegistry,
            manifest,
            &field,
            format!("the image {written} does not name its registry"),
        );
    } else if !report.platform.registries().allows(image.repository) {
        report.add(
            Rule::ImageRegistry,
            manifest,
            &field,
            format!("the platform does not allow the image {written}"),
        );
    }
    match (image.tag, image.digest) {
        (None, None) => report.add(
            Rule::ImageTag,
            manifest,
            &field,
            format!("the image {written} has no tag"),
        ),
        (Some("latest"), None) => {
            report.add(
                Rule::ImageTag,
                manifest,
                &field,
                format!("the image {written} has the tag latest"),
            );
        }
        (_, Some(_)) | (Some(_), None) => {}
    }
    if container.at("/imagePullPolicy").and_then(Value::as_str) != Some("IfNotPresent") {
        let message = format!("the container {name} does not say imagePullPolicy: IfNotPresent");
        report.add(
            Rule::ImagePullPolicy,
            manifest,
            container.field("imagePullPolicy"),
            message,
        );
    }
}

/// An image reference in its parts.
struct Parts<'a> {
    /// Registry and path.
    repository: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(written: &'a str) -> Self {
        let (rest, digest) = written
            .split_once('@')
            .map_or((written, None), |(rest, digest)| (rest, Some(digest)));
        // A colon before the last slash belongs to the registry's port.
        match rest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((repository, tag)) => Self {
                repository,
                tag: Some(tag),
                digest,
            },
            None => Self {
                repository: rest,
                tag: None,
                digest,
            },
        }
    }

    fn names_registry(&self) -> bool {
        let registry = self.repository.split_once('/').map_or("", |(registry, _)| registry);
        registry.contains(['.', ':']) || registry == "localhost"
    }
}
