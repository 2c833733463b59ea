//! Whether the files that name a version agree, how files are packed, and what continuous integration runs. What a release is
//! checked for otherwise is in `tests/release/`.

#![cfg(test)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::command::{Printed, run, run_with};
use test_support::root;

const CHART: &str = "charts/phonenumber-operator/Chart.yaml";

/// A repository of one commit that holds what `release/version` reads.
struct Repository(TempDir);

impl Repository {
    fn new(packages: &str, chart: &str, application: &str, changelog: &str) -> Self {
        let repository = Self(TempDir::new().unwrap());
        let packages = format!("[workspace.package]\nversion = \"{packages}\"\n");
        let chart = format!("name: x\nversion: {chart}\nappVersion: {application}\n");
        for (path, text) in [
            ("Cargo.toml", packages.as_str()),
            (CHART, &chart),
            ("CHANGELOG.md", changelog),
        ] {
            let file = repository.0.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        fs::create_dir(repository.0.path().join("release")).unwrap();
        for script in ["version", "notes", "publish"] {
            let script = format!("release/{script}");
            // A script works in the folder that its own name is in.
            symlink(root().join(&script), repository.0.path().join(&script)).unwrap();
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

#[test]
fn the_notes_of_a_release_are_its_section_of_the_changelog() {
    let changelog = "# Changelog\n\n## [Unreleased]\n\n- later\n\n## [1.2.3] - 2026-01-02\n\n### Added\n\n- this\n\n\
                     ## [1.2.2] - 2026-01-01\n\n- before\n";
    let repository = Repository::new("1.2.3", "1.2.3", "1.2.3", changelog);
    let mut notes = Command::new("bash");
    let notes = notes
        .args(["release/notes", "1.2.3"])
        .current_dir(&repository.0);
    assert_eq!(run(notes).unwrap(), "\n### Added\n\n- this\n\n");
}

#[test]
fn what_is_not_tagged_or_signed_or_names_a_place_for_rehearsals_is_not_published() {
    let repository = Repository::new("1.2.3", "1.2.3", "1.2.3", "## [1.2.3] - 2026-01-02\n");
    let mut head = Command::new("git");
    let head = run(head.args(["rev-parse", "HEAD"]).current_dir(&repository.0)).unwrap();
    let publish = |commit: &str, registry: &str, key: Option<&str>| {
        let statement = json!({"predicate": {"buildDefinition": {
            "externalParameters": {"registry": registry},
            "resolvedDependencies": [{"digest": {"gitCommit": commit}}],
        }}});
        let file = repository.0.path().join("provenance.intoto.json");
        fs::write(file, statement.to_string()).unwrap();
        let mut script = Command::new("bash");
        script
            .args(["release/publish", "1.2.3", "."])
            .current_dir(&repository.0);
        script
            .env_remove("COSIGN_KEY")
            .envs(key.map(|key| ("COSIGN_KEY", key)));
        run(&mut script).unwrap_err()
    };
    let real = "registry.example.net/telephony";
    let error = publish(head.trim(), real, Some("key"));
    assert!(error.contains("is not tagged v1.2.3"), "{error}");
    repository.git(&["tag", "v1.2.3"]);
    let error = publish(&"0".repeat(40), real, Some("key"));
    assert!(error.contains("is not tagged v1.2.3"), "{error}");
    let error = publish(head.trim(), "registry.example.com/telephony", Some("key"));
    assert!(error.contains("set REGISTRY and SOURCE"), "{error}");
    let error = publish(head.trim(), real, None);
    assert!(error.contains("set COSIGN_KEY"), "{error}");
    let error = publish(head.trim(), real, Some("key"));
    assert!(error.contains("SHA256SUMS is not signed"), "{error}");
}

/// A folder with a program and a text, whose times and modes are those of this machine.
fn folder(age: Duration, mode: u32) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("below")).unwrap();
    for (name, mode) in [("program", mode | 0o100), ("below/text", mode)] {
        let path = folder.path().join(name);
        fs::write(&path, name).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let file = fs::File::open(&path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    folder
}

fn packed(folder: &Path, ending: &str) -> Vec<u8> {
    let out = TempDir::new().unwrap();
    let file = out.path().join(format!("packed.{ending}"));
    let mut archive = Command::new(root().join("release/archive"));
    run(archive.arg(&file).arg(folder)).unwrap();
    fs::read(file).unwrap()
}

#[test]
fn names_and_contents_alone_decide_about_the_bytes_of_an_archive() {
    let now = folder(Duration::ZERO, 0o644);
    let earlier = folder(Duration::from_secs(86_400), 0o600);
    let other = folder(Duration::ZERO, 0o644);
    fs::write(other.path().join("program"), "changed").unwrap();
    for ending in ["tar", "tar.gz", "zip"] {
        let bytes = packed(now.path(), ending);
        assert!(bytes == packed(earlier.path(), ending), "{ending}");
        assert!(bytes != packed(other.path(), ending), "{ending}");
    }
}

/// The configuration that an image of this program has.
fn image(program: &str) -> Value {
    let mut config = Command::new(root().join("release/image-config"));
    config.arg(root().join(format!("image/{program}.Containerfile")));
    let text = run_with(
        config.args(["arm64", "1.2.3"]),
        r#"{"rootfs": {"type": "layers"}}"#,
    );
    serde_json::from_str(&text.unwrap()).unwrap()
}

#[test]
fn an_image_is_set_up_as_its_containerfile_and_the_chart_say() {
    let chart = root().join("charts/phonenumber-operator/templates/deployment.yaml");
    let chart = fs::read_to_string(chart).unwrap();
    for (program, begins_with) in [
        ("phonenumber-operator", "run"),
        ("phonenumber-emulator", "--twilio="),
    ] {
        let image = image(program);
        assert_eq!(image["architecture"], "arm64");
        assert_eq!(image["rootfs"], json!({"type": "layers"}));
        let config = &image["config"];
        let (user, group) = config["User"].as_str().unwrap().split_once(':').unwrap();
        assert!(chart.contains(&format!("runAsUser: {user}\n")), "{program}");
        assert!(
            chart.contains(&format!("runAsGroup: {group}\n")),
            "{program}"
        );
        assert_eq!(config["Entrypoint"], json!([format!("/{program}")]));
        let command = config["Cmd"][0].as_str().unwrap();
        assert!(command.starts_with(begins_with), "{program}: {command}");
        assert_eq!(
            config["Labels"]["org.opencontainers.image.version"],
            "1.2.3"
        );
    }
    // Not an end that kills it: it listens to an interrupt alone.
    assert_eq!(
        image("phonenumber-emulator")["config"]["StopSignal"],
        "SIGINT"
    );
}

#[test]
fn the_manifest_for_krew_lists_the_archives_that_were_made() {
    let folder = TempDir::new().unwrap();
    let archives = ["linux_arm64.tar.gz", "windows_amd64.zip"];
    for ending in archives {
        let file = folder
            .path()
            .join(format!("kubectl-phonenumbers_1.2.3_{ending}"));
        fs::write(file, "").unwrap();
    }
    let mut krew = Command::new(root().join("release/krew"));
    krew.arg("1.2.3").arg(folder.path());
    krew.env("SOURCE", "https://git.example.com")
        .env("DOWNLOADS", "https://files.example.com");
    run(&mut krew).unwrap();
    let manifest = fs::read_to_string(folder.path().join("phonenumbers.yaml")).unwrap();
    let manifest: Value = serde_saphyr::from_str(&manifest).unwrap();
    assert_eq!(manifest["spec"]["version"], "v1.2.3");
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (platform, (ending, os, arch, program)) in platforms.iter().zip([
        (archives[0], "linux", "arm64", "kubectl-phonenumbers"),
        (archives[1], "windows", "amd64", "kubectl-phonenumbers.exe"),
    ]) {
        let uri = format!("https://files.example.com/kubectl-phonenumbers_1.2.3_{ending}");
        assert_eq!(platform["uri"], uri);
        assert_eq!(platform["sha256"], of_nothing);
        assert_eq!(
            platform["selector"]["matchLabels"],
            json!({"os": os, "arch": arch})
        );
        assert_eq!(platform["bin"], program);
        assert_eq!(platform["files"][0]["from"], program);
    }
    assert_eq!(platforms.len(), archives.len());
}

/// Every step of every workflow, with the name of its file.
fn steps() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(".github/workflows")).unwrap() {
        let path = entry.unwrap().path();
        let workflow: Value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        for job in workflow["jobs"].as_object().unwrap().values() {
            let steps = job["steps"].as_array().unwrap().iter();
            found.extend(steps.map(|step| (name.clone(), step.clone())));
        }
    }
    found
}

#[test]
fn a_workflow_runs_what_runs_on_any_machine() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let runs = steps().into_iter().filter_map(|(name, step)| {
        let run = step["run"].as_str()?.to_owned();
        Some((name, run))
    });
    let mut count = 0;
    for (name, run) in runs {
        count += 1;
        let mut words = run.split_whitespace();
        let (program, target) = (words.next().unwrap(), words.next().unwrap_or_default());
        if program == "make" {
            let rule = format!("\n{target}:");
            assert!(makefile.contains(&rule), "{name}: make {target}");
        } else {
            assert!(root().join(program).is_file(), "{name}: {program}");
        }
    }
    assert!(count > 5, "{count}");
}

#[test]
fn a_workflow_pins_what_it_uses_by_commit() {
    let uses = steps().into_iter().filter_map(|(name, step)| {
        let uses = step["uses"].as_str()?.to_owned();
        Some((name, uses))
    });
    for (name, uses) in uses {
        let commit = uses.split_once('@').map(|(_, commit)| commit);
        let is_pinned = commit.is_some_and(|commit| {
            commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        assert!(is_pinned, "{name}: {uses}");
    }
}
