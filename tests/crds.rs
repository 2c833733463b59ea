//! The custom resource definitions in `crds/` and in the chart are what the Rust types say.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

use phonenumber_operator::api::{Reason, definitions};
use serde_json::{Value, json};
use test_support::root;

/// Compares a generated file with what it should be, or rewrites it with GENERATE=1.
fn compare(path: &Path, wanted: &str) {
    if std::env::var_os("GENERATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, wanted).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} is stale: run `make generate`",
        path.display()
    );
}

fn files() -> Vec<(String, Value)> {
    let definitions = definitions().unwrap();
    definitions
        .iter()
        .map(|definition| {
            (
                format!("{}.yaml", definition.spec.names.plural),
                serde_json::to_value(definition).unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_definitions_are_up_to_date() {
    for (name, definition) in files() {
        let text = serde_saphyr::to_string(&definition).unwrap();
        compare(&root().join("crds").join(&name), &text);
    }
}

#[test]
fn the_chart_has_the_same_definitions() {
    for (name, mut definition) in files() {
        definition["metadata"]["annotations"] =
            serde_json::json!({"helm.sh/resource-policy": "keep"});
        let text = serde_saphyr::to_string(&definition).unwrap();
        assert!(
            !text.contains("{{"),
            "a template would take that for an action"
        );
        let text = format!("{{{{- if .Values.crds.install }}}}\n{text}{{{{- end }}}}\n");
        let path: PathBuf = root()
            .join("charts/phonenumber-operator/templates/crds")
            .join(&name);
        compare(&path, &text);
    }
}

fn fields<'a>(path: String, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        found.push((path.clone(), field));
        fields(path, field, found);
    }
    if schema["items"].is_object() {
        fields(format!("{path}[]"), &schema["items"], found);
    }
}

#[test]
fn every_field_is_explained_and_bounded() {
    for (name, definition) in files() {
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut found = Vec::new();
        fields("spec".into(), &schema["properties"]["spec"], &mut found);
        assert!(found.len() > 10, "{name}");
        for (path, field) in found {
            // Kubernetes' own label selector is as Kubernetes has it.
            if path.contains("allowedNamespaces.") {
                continue;
            }
            assert!(
                field["description"].is_string(),
                "{name} {path} has no description"
            );
            assert!(field["nullable"].is_null(), "{name} {path} may be null");
            if field["type"] == "string" {
                let bounded = ["maxLength", "enum", "format"]
                    .iter()
                    .any(|bound| !field[bound].is_null());
                assert!(bounded, "{name} {path} has no bound");
            }
        }
    }
}

fn schemas() -> Vec<(String, Value)> {
    let schema = |(name, definition): (String, Value)| {
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        (name, schema.clone())
    };
    files().into_iter().map(schema).collect()
}

/// Two managers of a part overwrite each other, or conflict; they never mix it.
#[test]
fn every_list_and_every_reference_says_how_it_merges() {
    let (mut lists, mut wholes) = (0, 0);
    for (name, schema) in schemas() {
        let mut found = Vec::new();
        fields(String::new(), &schema, &mut found);
        for (path, field) in found {
            if field["type"] == "array" {
                lists += 1;
                let kind = &field["x-kubernetes-list-type"];
                assert!(kind.is_string(), "{name} {path} has no list type");
            }
            let last = path.rsplit('.').next().unwrap_or_default();
            let is_whole = !path.starts_with(".status")
                && field["type"] == "object"
                && (last.ends_with("Ref")
                    || [
                        "maxMonthlyCost",
                        "maxUpfrontCost",
                        "search",
                        "allowedNamespaces",
                    ]
                    .contains(&last));
            if is_whole {
                wholes += 1;
                let kind = &field["x-kubernetes-map-type"];
                assert_eq!(kind, "atomic", "{name} {path}");
            }
        }
    }
    assert!(
        lists >= 10 && wholes >= 10,
        "{lists} lists, {wholes} wholes"
    );
}

/// An older definition must never refuse the status that records what is paid.
#[test]
fn no_word_of_a_status_is_an_enumeration() {
    for (name, schema) in schemas() {
        let mut found = Vec::new();
        fields("status".into(), &schema["properties"]["status"], &mut found);
        for (path, field) in found {
            let is_condition = path == "status.conditions[].status";
            assert_eq!(field["enum"].is_array(), is_condition, "{name} {path}");
        }
    }
}

#[test]
fn every_rule_says_what_must_hold_and_what_kind_of_error_it_is() {
    fn rules<'a>(schema: &'a Value, found: &mut Vec<&'a Value>) {
        match schema {
            Value::Object(fields) => {
                let here = fields.get("x-kubernetes-validations");
                found.extend(here.and_then(Value::as_array).into_iter().flatten());
                fields.values().for_each(|value| rules(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| rules(item, found)),
            _ => {}
        }
    }
    for (name, schema) in schemas() {
        let mut found = Vec::new();
        rules(&schema, &mut found);
        assert!(found.len() >= 3, "{name}");
        for rule in found {
            assert!(rule["reason"].is_string(), "{name}: {rule:#}");
            let message = rule["message"].as_str().unwrap();
            assert!(message.contains("must"), "{name}: {message}");
        }
    }
}

/// The defaults of a spec are part of what a manifest means: another default would change what stored objects do.
#[test]
fn the_defaults_of_a_spec_stay() {
    let mut defaults = Vec::new();
    for (name, schema) in schemas() {
        let mut found = Vec::new();
        fields("spec".into(), &schema["properties"]["spec"], &mut found);
        let kind = name.trim_end_matches(".yaml");
        defaults.extend(found.into_iter().filter_map(|(path, field)| {
            let default = field.get("default")?;
            Some(format!("{kind} {path} = {default}"))
        }));
    }
    defaults.sort();
    compare(
        &root().join("tests/upgrade/defaults.txt"),
        &(defaults.join("\n") + "\n"),
    );
}

fn cell(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace('|', "\\|").replace('<', "&lt;")
}

/// What a value of a field may be, in a few words.
fn form(field: &Value) -> String {
    let kind = field["type"].as_str().unwrap_or("object");
    let mut words = vec![match kind {
        "array" => format!(
            "list of {}",
            field["items"]["type"].as_str().unwrap_or("objects")
        ),
        kind => kind.to_owned(),
    }];
    let values = field["enum"]
        .as_array()
        .or(field["items"]["enum"].as_array());
    if let Some(values) = values {
        let values = values.iter().filter_map(Value::as_str);
        words.push(
            values
                .map(|it| format!("`{it}`"))
                .collect::<Vec<_>>()
                .join(" "),
        );
    }
    for (key, word) in [("minimum", "at least"), ("maximum", "at most")] {
        if let Some(bound) = field[key].as_f64() {
            words.push(format!("{word} {bound}"));
        }
    }
    if let Some(most) = field["maxLength"].as_u64() {
        words.push(format!("at most {most} characters"));
    }
    words.join(", ")
}

fn page_of(definition: &Value) -> String {
    let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
    let version = &definition["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let mut page = format!(
        "## {kind}\n\n{}\n\n",
        cell(schema["description"].as_str().unwrap())
    );
    for part in ["spec", "status"] {
        let title = if part == "spec" { "Spec" } else { "Status" };
        page += &format!(
            "### {title} of {kind}\n\n| field | form | default | meaning |\n|---|---|---|---|\n"
        );
        let mut found = Vec::new();
        fields(part.into(), &schema["properties"][part], &mut found);
        for (path, field) in found {
            // Kubernetes' own type, see its documentation.
            if path.starts_with("status.conditions[]") {
                continue;
            }
            let default = field.get("default").filter(|it| !it.is_object());
            let default = default.map(|it| format!("`{it}`")).unwrap_or_default();
            let meaning = cell(field["description"].as_str().unwrap_or_default());
            page += &format!("| `{path}` | {} | {default} | {meaning} |\n", form(field));
        }
        page += "\n";
    }
    let selectable = version["selectableFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let selectable: Vec<_> = selectable
        .iter()
        .filter_map(|field| {
            Some(format!(
                "`{}`",
                field["jsonPath"].as_str()?.trim_start_matches('.')
            ))
        })
        .collect();
    page + &format!("Field selectors: {}.\n\n", selectable.join(", "))
}

#[test]
fn the_page_of_fields_is_up_to_date() {
    let pages: String = files()
        .iter()
        .map(|(_, definition)| page_of(definition))
        .collect();
    let head = "# API reference\n\nGroup `telephony.burki.dev`, version `v1alpha1`. `make generate` writes this page from the definitions.\n\
                `kubectl explain phonenumber.spec` shows the same in a terminal.\n\n";
    compare(
        &root().join("docs/reference/api.md"),
        &format!("{head}{}\n", pages.trim_end()),
    );
}

#[test]
fn every_reason_has_a_section_in_the_runbook_and_no_other() {
    let page = fs::read_to_string(root().join("docs/reference/reasons.md")).unwrap();
    let sections: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let reasons: Vec<_> = Reason::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(sections, reasons);
}

/// What of `new` breaks clients or stored objects of `old`, each with its path.
fn breaks(old: &Value, new: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    if new.is_null() {
        return vec![format!("{path} is removed")];
    }
    let mut say = |is_broken: bool, what: &str| {
        if is_broken {
            found.push(format!("{path} {what}"));
        }
    };
    say(old["type"] != new["type"], "has another type");
    for tag in ["x-kubernetes-list-type", "x-kubernetes-map-type"] {
        let is_lost = !old[tag].is_null() && old[tag] != new[tag];
        say(is_lost, &format!("has another {tag}"));
    }
    let words =
        |schema: &Value| -> Vec<Value> { schema["enum"].as_array().cloned().unwrap_or_default() };
    let (known, allowed) = (words(old), words(new));
    let is_narrower = known.iter().any(|word| !allowed.contains(word));
    say(
        !allowed.is_empty() && (known.is_empty() || is_narrower),
        "allows fewer words",
    );
    let required = |schema: &Value| -> Vec<Value> {
        schema["required"].as_array().cloned().unwrap_or_default()
    };
    let before = required(old);
    let more = required(new).iter().any(|field| !before.contains(field));
    say(more, "requires more fields");
    for (name, field) in old["properties"].as_object().into_iter().flatten() {
        found.extend(breaks(
            field,
            &new["properties"][name],
            &format!("{path}.{name}"),
        ));
    }
    if old["items"].is_object() {
        found.extend(breaks(&old["items"], &new["items"], &format!("{path}[]")));
    }
    found
}

/// Compared with the earliest definitions that are kept: fields are only added.
#[test]
fn no_change_of_a_definition_breaks_what_is_stored() {
    for (name, schema) in schemas() {
        let kept = root().join("tests/upgrade/crds").join(&name);
        let kept: Value = serde_saphyr::from_str(&fs::read_to_string(kept).unwrap()).unwrap();
        let earlier = &kept["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut found = breaks(earlier, &schema, &name);
        // Kubernetes has three words for the status of a condition, and no object ever had another.
        found.retain(|what| !what.contains(".status.conditions[].status allows fewer words"));
        assert_eq!(found, Vec::<String>::new());
        let kept = kept["spec"]["versions"][0]["selectableFields"].clone();
        let selectable = files()
            .into_iter()
            .find(|(file, _)| *file == name)
            .unwrap()
            .1;
        let selectable = &selectable["spec"]["versions"][0]["selectableFields"];
        for field in kept.as_array().into_iter().flatten() {
            assert!(
                selectable.as_array().unwrap().contains(field),
                "{name} {field}"
            );
        }
    }
}

#[test]
fn each_kind_of_break_is_noticed() {
    let (_, whole) = schemas().swap_remove(0);
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut new = whole.clone();
        change(&mut new);
        breaks(&whole, &new, "it").len()
    };
    assert_eq!(broken(&|_| ()), 0);
    let spec = |new: &mut Value, change: &dyn Fn(&mut Value)| {
        change(&mut new["properties"]["spec"]);
    };
    let fields: Vec<String> = {
        let fields = whole["properties"]["spec"]["properties"].as_object();
        fields.unwrap().keys().cloned().collect()
    };
    for field in &fields {
        let removed = broken(&|new| {
            spec(new, &|spec| {
                spec["properties"].as_object_mut().unwrap().remove(field);
            });
        });
        assert_eq!(removed, 1, "{field}");
    }
    let field = &fields[0];
    for change in [
        json!({"type": "boolean"}),
        json!({"enum": ["a word that is new"]}),
        json!({"required": ["a field that is new"]}),
    ] {
        let changed = broken(&|new| {
            spec(new, &|spec| {
                let field = spec["properties"][field].as_object_mut().unwrap();
                field.extend(change.as_object().unwrap().clone());
            });
        });
        assert!(changed >= 1, "{change}");
    }
}
