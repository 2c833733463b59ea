//! The values: documented, and held to a schema.

use serde_json::Value;
use test_support::helm::{CHART, compare, try_rendered};
use test_support::root;

fn file(name: &str) -> String {
    std::fs::read_to_string(root().join(CHART).join(name)).unwrap()
}

/// A value that is set as a whole: its path, its default as written, and what the comment above it says.
struct Documented {
    path: String,
    default: String,
    comment: String,
}

/// The values in the order of the file. A line is a comment or `key: value`; anything else is refused, so that nothing
/// goes undocumented.
fn documented() -> Vec<Documented> {
    let (mut found, mut above, mut comment) = (Vec::new(), Vec::<String>::new(), String::new());
    for line in file("values.yaml").lines() {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 2;
        if let Some(words) = text.strip_prefix("# ") {
            comment = format!("{comment} {words}").trim().to_owned();
            continue;
        }
        if text.is_empty() {
            comment.clear();
            continue;
        }
        let (key, default) = text.split_once(':').unwrap_or_else(|| panic!("{line:?}"));
        assert!(!comment.is_empty(), "{key} is not documented");
        above.truncate(depth);
        above.push(key.to_owned());
        if !default.is_empty() {
            found.push(Documented {
                path: above.join("."),
                default: default.trim().to_owned(),
                comment: comment.clone(),
            });
        }
        comment.clear();
    }
    found
}

#[test]
fn the_readme_of_the_chart_says_what_the_comments_of_the_values_say() {
    let mut page = String::from(
        "# Chart of the PhoneNumber operator\n\n<!-- Written by `make generate` from values.yaml. -->\n\n\
         How to install, upgrade and uninstall it is in [docs/how-to/install.md](../../docs/how-to/install.md).\n\n\
         | value | default | meaning |\n|---|---|---|\n",
    );
    for Documented {
        path,
        default,
        comment,
    } in documented()
    {
        let comment = comment.replace('|', "\\|");
        page.push_str(&format!("| `{path}` | `{default}` | {comment} |\n"));
    }
    compare(&format!("{CHART}/README.md"), &page);
}

/// Whether this map with contents is one value.
fn is_set_as_a_whole(path: &str, key: &str) -> bool {
    key == "labels" || [".resources", ".nodeSelector"].contains(&path)
}

/// The paths of the values that are set as a whole.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        match value.as_object() {
            Some(below) if !below.is_empty() && !is_set_as_a_whole(&path, key) => {
                leaves(value, &path, found);
            }
            _ => found.push(path.trim_start_matches('.').to_owned()),
        }
    }
}

#[test]
fn every_value_is_documented() {
    let values: Value = serde_saphyr::from_str(&file("values.yaml")).unwrap();
    let mut wanted = Vec::new();
    leaves(&values, "", &mut wanted);
    let mut found: Vec<_> = documented().into_iter().map(|value| value.path).collect();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}

#[test]
fn the_schema_knows_every_value_and_no_other() {
    let schema: Value = serde_json::from_str(&file("values.schema.json")).unwrap();
    let values: Value = serde_saphyr::from_str(&file("values.yaml")).unwrap();
    same_keys(&values, &schema, &schema, "");
}

fn same_keys(values: &Value, schema: &Value, whole: &Value, path: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => whole.pointer(&reference[1..]).unwrap(),
        None => schema,
    };
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    assert_eq!(schema["additionalProperties"], Value::Bool(false), "{path}");
    for (key, below) in properties {
        // Given to every chart by Helm; and the places that are empty by default.
        if key != "global" && path != ".flags.providerEndpoints" {
            assert!(!values[key].is_null(), "{path}.{key} is no value");
        }
        same_keys(&values[key], below, whole, &format!("{path}.{key}"));
    }
    for key in values.as_object().into_iter().flat_map(|map| map.keys()) {
        assert!(
            properties.contains_key(key),
            "{path}.{key} is not in the schema"
        );
    }
}

#[test]
fn misspelt_and_malformed_values_are_refused() {
    for value in [
        "replica=2",
        "flags.purchaseTimeOut=30s",
        "flags.purchaseTimeout=30",
        "flags.purchaseTimeout=half a minute",
        "flags.logFormat=xml",
        "flags.purchaseTimeout=0s",
        "flags.purchaseTimeout=999ms",
        "flags.inventoryInterval=0s",
        "flags.inventoryInterval=999ms",
        "flags.purchaseVisibility=0m",
        "flags.purchaseVisibility=18446744073709551615h",
        "flags.concurrency=0",
        "flags.concurrency=1025",
        "flags.providerEndpoints.vonage=https://example.com",
        "flags.leaderElect=yes please",
        "image.digest=latest",
        "image.pullPolicy=Sometimes",
        "nameOverride=Phone Numbers",
        "fullnameOverride=-",
        "serviceAccount.name=operator@example.com",
        "commonLabels.team=the platform team",
        r"commonLabels.app\.kubernetes\.io/name=other",
        r"podLabels.app\.kubernetes\.io/instance=other",
        "extraEnv[0].value=1",
        "extraVolumes[0].emptyDir.medium=Memory",
        "extraVolumeMounts=authorities",
        "hostAliases[0]=192.0.2.1",
        "metrics.serviceMonitor.scheme=ftp",
        "metrics.port=80",
        "metrics.prometheusRule.runbookUrl=docs",
        "topologySpread=Everywhere",
        "admission.breakGlassGroup=it's",
        "admission.maxMonthlyCost.amount=cheap",
        "admission.maxMonthlyCost.currency=usd",
        "admission.allowedCountries.default[0]=usa",
        "admission.webhookHosts[0]=https://voice.example.com",
        "networkPolicy.apiServerCIDRs[0]=everywhere",
    ] {
        let error = try_rendered(&["--set", value]).expect_err(value);
        assert!(
            error.contains("values don't meet the specifications of the schema"),
            "{value}: {error}"
        );
    }
}
