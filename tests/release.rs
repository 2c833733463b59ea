//! Whether the files that name a version agree. What a release is checked for otherwise is in `tests/release/`.

#![cfg(test)]

use std::fs;
use std::process::Command;

use tempfile::TempDir;
use test_support::command::{Printed, run};
use test_support::root;

const CHART: &str = "charts/phonenumber-operator/Chart.yaml";

/// A repository of one commit that holds what `release/version` reads.
struct Repository(TempDir);

impl Repository {
    fn new(packages: &str, chart: &str, application: &str, changelog: &str) -> Self {
        let repository = Self(TempDir::new().unwrap());
        let packages = format!("[workspace.package]\nversion = \"{packages}\"\n");
        let chart = format!("name: x\nversion: {chart}\nappVersion: {application}\n");
        let script = fs::read_to_string(root().join("release/version")).unwrap();
        for (path, text) in [
            ("Cargo.toml", packages.as_str()),
            (CHART, &chart),
            ("CHANGELOG.md", changelog),
            ("release/version", &script),
        ] {
            let file = repository.0.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        repository.git(&["init", "--quiet"]);
        repository.git(&["add", "."]);
        repository.git(&["commit", "--quiet", "--message", "all"]);
        repository
    }

    fn git(&self, arguments: &[&str]) {
        let identity = [
            "-c",
            "user.name=nobody",
            "-c",
            "user.email=nobody@example.com",
        ];
        let mut git = Command::new("git");
        run(git.args(identity).args(arguments).current_dir(&self.0)).unwrap();
    }

    fn version(&self, arguments: &[&str]) -> Printed {
        let mut script = Command::new("bash");
        run(script
            .arg("release/version")
            .args(arguments)
            .current_dir(&self.0))
    }
}

#[test]
fn the_version_is_one_fact() {
    let version = run(&mut Command::new(root().join("release/version"))).unwrap();
    assert_eq!(version.trim(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn between_releases_the_changelog_may_be_behind() {
    for changelog in [
        "## [Unreleased]\n",
        "## [Unreleased]\n\n## [1.1.9] - 2026-01-02\n",
    ] {
        let repository = Repository::new("1.2.3", "1.2.3", "1.2.3", changelog);
        assert_eq!(repository.version(&["1.2.3"]).unwrap(), "1.2.3\n");
    }
}

#[test]
fn files_that_disagree_are_refused_by_name() {
    let released = "## [Unreleased]\n\n## [1.2.3] - 2026-01-02\n";
    for (packages, chart, application, changelog, said) in [
        (
            "1.2.4",
            "1.2.3",
            "1.2.4",
            released,
            "Chart.yaml has version 1.2.3",
        ),
        (
            "1.2.4",
            "1.2.4",
            "1.2.3",
            released,
            "Chart.yaml has appVersion 1.2.3",
        ),
        (
            "1.2.2",
            "1.2.2",
            "1.2.2",
            released,
            "CHANGELOG.md has a section of 1.2.3",
        ),
        ("next", "next", "next", released, "no version such as 1.2.3"),
        (
            "1.2.3",
            "1.2.3",
            "1.2.3",
            "## [1.2.3] - 2026-01-02\n## [1.2.3]\n",
            "two sections",
        ),
    ] {
        let error = Repository::new(packages, chart, application, changelog).version(&[]);
        let error = error.unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
    }
    let right = Repository::new("1.2.3", "1.2.3", "1.2.3", released);
    let error = right.version(&["1.2.4"]).unwrap_err();
    assert!(
        error.contains("Cargo.toml has version 1.2.3, not 1.2.4"),
        "{error}"
    );
}

#[test]
fn a_tag_names_the_version_and_needs_a_dated_section() {
    let released = "## [1.2.3] - 2026-01-02\n";
    for (tag, changelog, said) in [
        ("v1.2.3", released, None),
        ("v1.2.4", released, Some("The tag is v1.2.4")),
        ("v1.2.3", "## [1.2.3]\n", Some("no section")),
        ("v1.2.3", "## [Unreleased]\n", Some("no section")),
    ] {
        let repository = Repository::new("1.2.3", "1.2.3", "1.2.3", changelog);
        repository.git(&["tag", tag]);
        match (repository.version(&[]), said) {
            (Ok(version), None) => assert_eq!(version, "1.2.3\n"),
            (Err(error), Some(said)) => assert!(error.contains(said), "{said}: {error}"),
            (printed, said) => panic!("{tag} {changelog:?}: {printed:?}, not {said:?}"),
        }
    }
}
