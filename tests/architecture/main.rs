//! Who may know whom: the dependency rule of the source, held by reading it.
//!
//! Only what ends up in the program counts: comments, strings and code under `#[cfg(test)]` are left out.

#![cfg(test)]

mod circles;
mod rules;
mod samples;
mod source;

use std::fs;
use std::path::PathBuf;

use rules::RULES;
use source::{Source, root, sources};

/// The right to buy comes from the reply to the claiming write alone, and the right to release from the reply to the write
/// that decides on it.
const MAKES_TOKENS: [&str; 2] = ["from_reply", "of_reply"];

/// What a function can take to reach Kubernetes, a provider or the count of an hour.
const REACH: [&str; 4] = ["Cluster", "Providers", "Writer", "HourlyQuotas"];

/// Enough to parse, to build and to call.
const LINES_OF_A_BINARY: usize = 120;

#[test]
fn every_module_mentions_only_what_it_may_know() {
    let sources = sources();
    let mut violations = Vec::new();
    for rule in RULES {
        let found: Vec<&Source> = sources
            .iter()
            .filter(|source| rule.applies_to(source))
            .collect();
        let names: Vec<&str> = found.iter().map(|source| source.name.as_str()).collect();
        println!("{}: {}", rule.because, names.join(" "));
        violations.extend(found.iter().flat_map(|source| rule.violations(source)));
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_rule_is_about_modules_that_exist() {
    let sources = sources();
    for module in RULES
        .iter()
        .flat_map(|rule| rule.modules.iter().chain(rule.except))
    {
        let exists = sources.iter().any(|source| source.is_in(module));
        assert!(exists, "a rule is about {module}, which does not exist");
    }
}

/// Compiled for unit tests alone.
const FAKE: &str = "provider/http/fake.rs";

/// Where the tokens that `maker` makes are made, outside the module that defines them.
fn makers_of_tokens<'a>(sources: &'a [Source], maker: &str) -> Vec<&'a str> {
    let elsewhere = sources
        .iter()
        .filter(|source| !source.is_in("claim") && source.name != FAKE);
    elsewhere
        .filter(|source| source.mentions_word(maker))
        .map(|source| source.name.as_str())
        .collect()
}

#[test]
fn the_right_to_buy_and_the_right_to_release_are_each_made_in_one_place() {
    let sources = sources();
    for maker in MAKES_TOKENS {
        let makers = makers_of_tokens(&sources, maker);
        assert!(
            makers.len() == 1 && makers[0].starts_with("reconcile/"),
            "{maker} in {makers:?}"
        );
    }
}

/// The crates that `manifest` needs, except for tests.
fn needed(manifest: &str) -> Vec<&str> {
    let mut needed = Vec::new();
    let mut counts = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            counts = line == "[dependencies]" || line.ends_with(".dependencies]");
        } else if counts && let Some((name, _)) = line.split_once(" = ") {
            needed.push(name);
        }
    }
    needed
}

/// The compiler holds these borders, as long as no manifest opens them.
#[test]
fn no_crate_needs_what_it_must_not_know() {
    let shared = ["telephony", "phonenumber-api"];
    let ours = [
        &shared[..],
        &[
            "kubectl-phonenumbers",
            "phonenumber-emulator",
            "phonenumber-operator",
        ],
    ]
    .concat();
    let borders: [(&str, &[&str], &[&str]); 4] = [
        (
            "crates/telephony",
            &[],
            &["kube", "k8s-openapi", "prometheus-client"],
        ),
        ("crates/api", &shared[..1], &["reqwest", "tokio"]),
        (
            "crates/kubectl-phonenumbers",
            &shared,
            &["axum", "opentelemetry", "prometheus-client", "reqwest"],
        ),
        (".", &shared, &[]),
    ];
    for (path, may_know, must_not_know) in borders {
        let manifest = root().join("..").join(path).join("Cargo.toml");
        let manifest = fs::read_to_string(manifest).unwrap();
        let needed = needed(&manifest);
        assert!(needed.contains(&"serde"), "{path}: {needed:?}");
        for name in needed {
            let is_strange = ours.contains(&name) && !may_know.contains(&name);
            assert!(
                !is_strange && !must_not_know.contains(&name),
                "{path} needs {name}"
            );
        }
    }
}

/// The files that name all of [`REACH`].
fn files_that_reach_everything(sources: &[Source]) -> Vec<&str> {
    let all = |source: &&Source| REACH.iter().all(|word| source.mentions_word(word));
    let found = sources.iter().filter(all);
    found.map(|source| source.name.as_str()).collect()
}

/// No value holds all that there is: a function that took it would not tell what it reads, spends or writes.
#[test]
fn only_the_loop_reaches_everything() {
    let sources = sources();
    let found = files_that_reach_everything(&sources);
    assert_eq!(found, ["controller/reconciler.rs", "reconcile/number.rs"]);
}

#[test]
fn a_value_that_reaches_everything_is_noticed() {
    let all = "pub struct All { cluster: Cluster, providers: Arc<Providers>, writer: Writer, quotas: HourlyQuotas }";
    let less = "fn claim(cluster: &Cluster, writer: &Writer, quotas: &HourlyQuotas) {}";
    let sources = [
        Source::new("controller/all.rs", all),
        Source::new("reconcile/perform/spend.rs", less),
    ];
    assert_eq!(files_that_reach_everything(&sources), ["controller/all.rs"]);
}

#[test]
fn binaries_parse_build_and_call() {
    let mut binaries: Vec<PathBuf> = fs::read_dir(root().join("bin"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!binaries.is_empty());
    binaries.push(root().join("../crates/kubectl-phonenumbers/src/main.rs"));
    for binary in binaries {
        let lines = fs::read_to_string(&binary).unwrap().lines().count();
        assert!(
            lines < LINES_OF_A_BINARY,
            "{} has {lines} lines",
            binary.display()
        );
    }
}

/// The compiler holds that neither imports the other, so that one misreading of a provider cannot hide in both.
#[test]
fn the_emulator_and_the_operator_are_crates_that_do_not_need_each_other() {
    let read = |path: &str| fs::read_to_string(test_support::root().join(path)).unwrap();
    let emulator = read("crates/emulator/Cargo.toml");
    for line in emulator.lines().filter(|line| line.contains('{')) {
        assert!(
            !line.contains("path") && !line.contains("workspace"),
            "{line}"
        );
    }
    let operator = read("Cargo.toml");
    let (needed, for_tests) = operator.split_once("[dev-dependencies]").unwrap();
    let (_, needed) = needed.split_once("[dependencies]").unwrap();
    assert!(!needed.contains("phonenumber-emulator"));
    assert!(for_tests.contains("phonenumber-emulator"));
}
