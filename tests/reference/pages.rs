//! The pages of `docs/reference/`, made from the code: schemas, rules, reasons, the command line.

use std::fmt::Write as _;

use clap::{Arg, Command};
use schemars::generate::SchemaSettings;
use serde_json::Value;
use tremplin_core::api::crd;
use tremplin_core::platform::file::PlatformFile;
use tremplin_core::platform::{BUNDLED, Rule};
use tremplin_core::reason::meanings;

const HEADER: &str = "<!-- Generated from the code by `make generate`: do not edit. -->\n";

/// Every page, by its path in the repository.
pub fn pages() -> Vec<(String, String)> {
    let others = [
        ("platform-file", platform_file()),
        ("reasons", reasons()),
        ("cli", command_line()),
    ];
    let others = others.map(|(name, text)| (name.to_owned(), text));
    let kinds = crd::all().into_iter().map(|definition| {
        let definition = serde_json::to_value(definition).unwrap();
        let name = definition["spec"]["names"]["singular"].as_str().unwrap().to_owned();
        (name, resource(&definition))
    });
    kinds
        .chain(others)
        .map(|(name, text)| {
            (
                format!("docs/reference/{name}.md"),
                format!("{HEADER}{}\n", text.trim_end()),
            )
        })
        .collect()
}

fn resource(definition: &Value) -> String {
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let names = &definition["spec"]["names"];
    let kind = names["kind"].as_str().unwrap();
    let short = names["shortNames"][0].as_str();
    let short = short.map(|short| format!(", short name `{short}`")).unwrap_or_default();
    let scope = if definition["spec"]["scope"] == "Namespaced" {
        "namespaced"
    } else {
        "cluster-scoped"
    };
    let samples = if kind == "StartupApp" {
        "config/samples"
    } else {
        "config/dns"
    };
    let mut text = format!(
        "# {kind}\n\n`apiVersion: tremplin.dev/v1alpha1`, `kind: {kind}`{short}, {scope}. \
         Samples: [{samples}](../../{samples}).\n\n## spec\n\n",
    );
    writeln!(text, "{}\n", line(&schema["spec"])).unwrap();
    fields(&mut text, "spec", &schema["spec"]);
    writeln!(text, "\n## status\n\n{}\n", line(&schema["status"])).unwrap();
    fields(&mut text, "status", &schema["status"]);
    text
}

fn platform_file() -> String {
    let generator = SchemaSettings::openapi3()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let schema = serde_json::to_value(generator.into_root_schema_for::<PlatformFile>()).unwrap();
    let mut text = format!("# The platform file\n\n{}\n\n", line(&schema));
    let names = BUNDLED.map(|profile| format!("[{0}](../../core/src/platform/profiles/{0}.yaml)", profile.name));
    writeln!(
        text,
        "Bundled: {}. Check one of your own with `tremplin check --platform FILE -f …`.\n\n## Fields\n",
        names.join(", ")
    )
    .unwrap();
    fields(&mut text, "", &schema);
    text.push_str("\n## Rules\n\n`policies` names a rule by its id. What `tremplin check` looks at:\n\n");
    text.push_str("| id | asks that | default | source |\n|---|---|---|---|\n");
    for rule in Rule::ALL {
        let facts = rule.facts();
        writeln!(
            text,
            "| `{}` | {} | {:?} | {} |",
            facts.id,
            cell(facts.asks),
            facts.mode,
            cell(facts.source)
        )
        .unwrap();
    }
    text
}

fn reasons() -> String {
    let mut text = String::from("# Reasons\n\nThe reasons of conditions, as `tremplin explain` tells them.\n");
    let all = meanings();
    for group in all.chunk_by(|one, other| one.kinds == other.kinds) {
        let kinds = group
            .first()
            .map(|meaning| meaning.kinds.join(", "))
            .unwrap_or_default();
        writeln!(text, "\n## {kinds}\n\n| reason | when | what to do |\n|---|---|---|").unwrap();
        for meaning in group {
            let (when, action) = (cell(meaning.when), cell(meaning.action));
            writeln!(text, "| `{}` | {when} | {action} |", meaning.reason).unwrap();
        }
    }
    text
}

/// A table of every field below `path`, at any depth.
fn fields(text: &mut String, path: &str, schema: &Value) {
    text.push_str("| field | type | meaning |\n|---|---|---|\n");
    let mut rows = Vec::new();
    walk(path, schema, &mut rows);
    for (path, schema) in rows {
        writeln!(text, "| `{path}` | {} | {} |", kind(schema), cell(&line(schema))).unwrap();
    }
}

fn walk<'a>(path: &str, schema: &'a Value, rows: &mut Vec<(String, &'a Value)>) {
    let inner = unwrapped(schema);
    for (name, property) in inner["properties"].as_object().into_iter().flatten() {
        let mut path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let property_inner = unwrapped(property);
        let mut below = property_inner;
        if !property_inner["items"].is_null() {
            path.push_str("[]");
            below = &property_inner["items"];
        } else if property_inner["additionalProperties"].is_object() {
            path.push_str(".*");
            below = &property_inner["additionalProperties"];
        }
        rows.push((path.clone(), property));
        walk(&path, below, rows);
    }
}

/// A field with a description of its own wraps its type.
fn unwrapped(schema: &Value) -> &Value {
    match schema["allOf"]
        .as_array()
        .or_else(|| schema["anyOf"].as_array())
        .and_then(|all| all.first())
    {
        Some(inner) => inner,
        None => schema,
    }
}

fn kind(schema: &Value) -> String {
    let schema = unwrapped(schema);
    let choices = enumeration(schema);
    if !choices.is_empty() {
        return choices
            .iter()
            .map(|choice| format!("`{choice}`"))
            .collect::<Vec<_>>()
            .join(" ");
    }
    let type_ = schema["type"].as_str().unwrap_or("any");
    let bounds = [
        ("minimum", "≥"),
        ("maximum", "≤"),
        ("maxLength", "≤"),
        ("maxItems", "≤"),
        ("maxProperties", "≤"),
    ];
    let bounds: Vec<String> = bounds
        .into_iter()
        .filter_map(|(name, sign)| {
            let unit = match name {
                "maxLength" => " characters",
                "maxItems" => " items",
                "maxProperties" => " entries",
                _ => "",
            };
            Some(format!("{sign} {}{unit}", schema[name].as_f64()?))
        })
        .collect();
    match type_ {
        "array" => format!("list{}", parenthesised(&bounds)),
        "object" if schema["additionalProperties"].is_object() => format!("map{}", parenthesised(&bounds)),
        _ => format!("{type_}{}", parenthesised(&bounds)),
    }
}

fn enumeration(schema: &Value) -> Vec<&str> {
    let direct = schema["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let described = schema["oneOf"].as_array().into_iter().flatten();
    let described = described.filter_map(|one| one["const"].as_str().or_else(|| one["enum"][0].as_str()));
    direct.chain(described).collect()
}

fn parenthesised(bounds: &[String]) -> String {
    if bounds.is_empty() {
        String::new()
    } else {
        format!(" ({})", bounds.join(", "))
    }
}

fn line(schema: &Value) -> String {
    let own = schema["description"].as_str();
    let text = own
        .or_else(|| unwrapped(schema)["description"].as_str())
        .unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A `|` would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn command_line() -> String {
    let mut text = String::from(
        "# Command line\n\n`tremplin` is also reached as `kubectl tremplin`, by a link named `kubectl-tremplin`.\n\n",
    );
    let mut program = tremplin::cli::command();
    program.build();
    writeln!(text, "{}\n", program.get_after_help().unwrap()).unwrap();
    describe_below(&mut text, &program, "tremplin");
    text
}

/// The commands below a command, each with its whole name.
fn describe_below(text: &mut String, command: &Command, name: &str) {
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = format!("{name} {}", command.get_name());
        describe(text, command, &name);
        describe_below(text, command, &name);
    }
}

fn describe(text: &mut String, command: &Command, called: &str) {
    let usage = command.clone().render_usage().to_string();
    writeln!(text, "## {called}\n").unwrap();
    let about = command.get_long_about().or_else(|| command.get_about());
    writeln!(text, "{}\n", about.map(ToString::to_string).unwrap_or_default()).unwrap();
    writeln!(text, "`{}`\n", usage.trim_start_matches("Usage: ").trim()).unwrap();
    let shown = |argument: &&Arg| !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version");
    let arguments: Vec<&Arg> = command.get_arguments().filter(shown).collect();
    if arguments.is_empty() {
        return;
    }
    text.push_str("| argument | meaning |\n|---|---|\n");
    for argument in arguments {
        writeln!(text, "| {} | {} |", name(argument), cell(&meaning(argument))).unwrap();
    }
    text.push('\n');
}

fn name(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default().join(" ");
    let takes = argument.get_action().takes_values();
    let value = if takes { format!(" {values}") } else { String::new() };
    let names = [
        argument.get_short().map(|short| format!("-{short}")),
        argument.get_long().map(|long| format!("--{long}")),
    ];
    let names: Vec<String> = names.into_iter().flatten().collect();
    let shown = if names.is_empty() {
        values
    } else {
        format!("{}{value}", names.join(", "))
    };
    format!("`{}`", cell(&shown))
}

fn meaning(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let choices: Vec<String> = argument
        .get_possible_values()
        .iter()
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if argument.get_action().takes_values() && !choices.is_empty() {
        write!(text, ": {}", choices.join(", ")).unwrap();
    }
    let defaults: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        write!(text, " (default `{}`)", defaults.join(" ")).unwrap();
    }
    if let Some(variable) = argument.get_env() {
        write!(text, " (`{}`)", variable.to_string_lossy()).unwrap();
    }
    text
}

#[test]
fn every_field_of_a_spec_has_a_description() {
    let undescribed: Vec<String> = pages()
        .iter()
        .flat_map(|(_, page)| page.lines())
        .filter(|line| line.starts_with("| `") && line.ends_with("|  |"))
        .filter(|line| !line.starts_with("| `status"))
        .map(str::to_owned)
        .collect();
    assert_eq!(undescribed, Vec::<String>::new());
}
