//! Schemas of maps, which `schemars` cannot bound by attributes. Every map and string is bounded, because the API
//! server estimates the cost of a CEL rule from the largest object that the schema lets in.

use schemars::{Schema, SchemaGenerator, json_schema};

/// `env`: at most 200 variables of at most 8 KiB each.
pub fn env(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 200,
        "additionalProperties": { "type": "string", "maxLength": 8192 }
    })
}

/// `links`: at most 20 addresses.
pub fn links(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 20,
        "additionalProperties": { "type": "string", "maxLength": 512, "pattern": "^https?://[^ ]+$" }
    })
}

/// A list of program arguments: at most 64 of at most 4 KiB each.
pub fn arguments(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "items": { "type": "string", "maxLength": 4096 }
    })
}

/// `hosts`: a set of at most 20 DNS names, lower case, each label at most 63 octets.
pub fn hosts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 20,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": 253,
            "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+$"
        }
    })
}

/// `release.command`: as [`arguments`], and not empty.
pub fn command(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "items": { "type": "string", "maxLength": 4096 }
    })
}

/// `matchLabels`: at most 20 labels.
pub fn match_labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 20,
        "additionalProperties": { "type": "string", "maxLength": 63 }
    })
}

/// The address of a service, without a user or password: a spec is read by many.
pub fn address(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 512, "pattern": "^https?://[^ @]+$" })
}
