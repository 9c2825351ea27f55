//! The CRDs as the API server gets them: what `kube` derives, with the conventions that its attributes cannot say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// Every CRD of the group, in the order of their names.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![
        finish::<super::DnsClaimSpec, super::DnsClaimStatus>(super::DnsClaim::crd()),
        finish::<super::DnsRecordSpec, super::DnsRecordStatus>(super::DnsRecord::crd()),
        finish::<super::DnsZoneSpec, super::DnsZoneStatus>(super::DnsZone::crd()),
        finish::<super::StartupAppSpec, super::StartupAppStatus>(super::StartupApp::crd()),
    ]
}

/// Gives each field its own description, strips `nullable` (the API server drops an explicit null silently where the
/// schema does not allow it, and a null kept in a spec would mean nothing here) and gives `status` the default
/// `observedGeneration: -1`, so that tools that read kstatus do not take an object that nobody has looked at for a
/// healthy one.
fn finish<Spec: JsonSchema, Status: JsonSchema>(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let Some(root) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        strip_nullable(root);
        let Some(properties) = root.properties.as_mut() else {
            continue;
        };
        if let Some(spec) = properties.get_mut("spec") {
            describe(spec, &as_written::<Spec>());
        }
        if let Some(status) = properties.get_mut("status") {
            describe(status, &as_written::<Status>());
            status.default = Some(JSON(serde_json::json!({ "observedGeneration": -1 })));
        }
    }
    crd
}

/// A type's schema before `kube` makes it structural.
fn as_written<Type: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Type>().to_value()
}

/// Gives fields their own descriptions. Of an optional enum `kube` keeps that of the enum, so that what an absent field
/// means would be in no `kubectl explain`.
fn describe(schema: &mut JSONSchemaProps, written: &Value) {
    if let Some(text) = written.get("description").and_then(Value::as_str) {
        schema.description = Some(text.to_owned());
    }
    let written = unwrapped(written);
    for (name, property) in schema.properties.iter_mut().flatten() {
        if let Some(written) = written
            .pointer("/properties")
            .and_then(|properties| properties.get(name))
        {
            describe(property, written);
        }
    }
    if let (Some(JSONSchemaPropsOrArray::Schema(items)), Some(written)) = (&mut schema.items, written.get("items")) {
        describe(items, written);
    }
    if let (Some(JSONSchemaPropsOrBool::Schema(values)), Some(written)) =
        (&mut schema.additional_properties, written.get("additionalProperties"))
    {
        describe(values, written);
    }
}

/// An optional field with a description of its own wraps its type.
fn unwrapped(written: &Value) -> &Value {
    let wrapped = ["allOf", "anyOf"]
        .into_iter()
        .find_map(|word| written.get(word)?.get(0));
    wrapped.unwrap_or(written)
}

fn strip_nullable(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
    {
        strip_nullable(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => strip_nullable(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(strip_nullable),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        strip_nullable(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind, and schema of one of its properties.
    fn schemas(property: &str) -> Vec<(String, JSONSchemaProps)> {
        let schema = |crd: CustomResourceDefinition| {
            let root = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
            (crd.spec.names.kind, root.properties.unwrap()[property].clone())
        };
        all().into_iter().map(schema).collect()
    }

    #[test]
    fn the_spec_has_no_defaults_no_nulls_and_no_unknown_formats() {
        for (kind, spec) in schemas("spec") {
            let spec = serde_json::to_string(&spec).unwrap();
            // A property may be called so.
            let spec = spec.replace("\"default\":{\"description\"", "");
            for forbidden in ["\"default\":", "\"nullable\"", "\"uint", "\"format\":\"double\""] {
                assert!(!spec.contains(forbidden), "{forbidden} in {kind}: {spec}");
            }
        }
    }

    #[test]
    fn a_field_says_what_it_means_when_it_is_absent_also_where_it_is_a_choice() {
        let all: std::collections::BTreeMap<_, _> = schemas("spec").into_iter().collect();
        for (kind, field, says) in [
            ("DnsRecord", "type", "Absent: `Auto`"),
            ("DnsRecord", "deletionPolicy", "Absent: `Delete`"),
            ("DnsZone", "mode", "Absent: `Report`"),
            ("StartupApp", "environment", "Absent: the platform file"),
        ] {
            let properties = all[kind].properties.as_ref().unwrap();
            let description = properties[field].description.as_deref().unwrap_or_default();
            assert!(description.contains(says), "{kind}.{field}: {description}");
        }
        let drift = all["DnsZone"].properties.as_ref().unwrap()["drift"].properties.clone();
        let policy = drift.unwrap()["policy"].description.clone().unwrap();
        assert!(policy.contains("Absent: `Repair`"), "{policy}");
    }

    #[test]
    fn an_unseen_object_is_not_healthy() {
        for (kind, status) in schemas("status") {
            let default = status.default.unwrap();
            assert_eq!(default.0, serde_json::json!({ "observedGeneration": -1 }), "{kind}");
        }
    }

    #[test]
    fn every_string_list_and_map_of_the_spec_is_bounded() {
        fn walk(path: &str, schema: &JSONSchemaProps, unbounded: &mut Vec<String>) {
            match schema.type_.as_deref() {
                Some("string") if schema.max_length.is_none() && schema.enum_.is_none() => unbounded.push(path.into()),
                Some("array") => {
                    if schema.max_items.is_none() {
                        unbounded.push(path.into());
                    }
                    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
                        walk(&format!("{path}[]"), items, unbounded);
                    }
                }
                Some("object") => {
                    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
                        if schema.max_properties.is_none() {
                            unbounded.push(path.into());
                        }
                        walk(&format!("{path}{{}}"), values, unbounded);
                    }
                    for (name, property) in schema.properties.iter().flatten() {
                        walk(&format!("{path}.{name}"), property, unbounded);
                    }
                }
                _ => {}
            }
        }
        let mut unbounded = Vec::new();
        for (kind, spec) in schemas("spec") {
            walk(&format!("{kind}.spec"), &spec, &mut unbounded);
        }
        assert_eq!(unbounded, Vec::<String>::new());
    }
}
