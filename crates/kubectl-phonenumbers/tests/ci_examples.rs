//! The jobs in `examples/ci` are run as they are: a change on a branch is compared with the target branch.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A folder that goes with the test. Below it a job has its checkout and makes another one.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const ACCOUNT: &str = "apiVersion: telephony.burki.dev/v1alpha1
kind: ProviderAccount
metadata: {name: twilio, namespace: support}
spec:
  provider: twilio
  twilio: {credentialsSecretRef: {name: twilio}}
  webhooks: {baseUrl: https://voice.example.com}
";

fn number(name: &str, number: &str) -> String {
    format!(
        "apiVersion: telephony.burki.dev/v1alpha1\nkind: PhoneNumber\nmetadata: {{name: {name}, namespace: support}}\nspec: \
         {{provider: twilio, phoneNumber: \"{number}\"}}\n"
    )
}

fn prices(monthly: &str) -> String {
    format!(
        r#"{{"apiVersion": "telephony.burki.dev/v1", "kind": "PriceList", "generated": "2026-11-01T00:00:00Z",
        "accounts": [{{"kind": "ProviderAccount", "namespace": "support", "name": "twilio", "provider": "twilio",
        "prices": [{{"country": "US", "type": "local", "monthly": "{monthly}", "upfront": "0", "currency": "USD"}}]}}]}}"#
    )
}

/// Runs a script in bash as a job does: it stops at the first error.
fn bash(folder: &Path, script: &str, variables: &[(&str, &str)]) -> bool {
    let program = Path::new(env!("CARGO_BIN_EXE_kubectl-phonenumbers"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let mut command = Command::new("bash");
    command
        .args(["-e", "-c", script])
        .current_dir(folder)
        .env("PATH", path)
        .env("HOME", folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs(variables.iter().copied());
    command.status().unwrap().success()
}

/// A repository with the target branch `main`, and a checkout of it with a change.
fn checkout(name: &str, monthly: &str) -> (Folder, PathBuf) {
    let folder = std::env::temp_dir().join(format!("ci-{name}-{}", std::process::id()));
    let (origin, work) = (folder.join("origin"), folder.join("work"));
    fs::create_dir_all(origin.join("numbers/deep")).unwrap();
    let folder = Folder(folder);
    fs::write(origin.join("numbers/account.yaml"), ACCOUNT).unwrap();
    fs::write(
        origin.join("numbers/deep/a.yaml"),
        number("a", "+12125550101"),
    )
    .unwrap();
    fs::write(origin.join("prices.json"), prices(monthly)).unwrap();
    let begin = "git init -q -b main . && git add . && git -c user.name=a -c user.email=a@example.com commit -qm base && git \
                 clone -q . ../work";
    assert!(bash(&origin, begin, &[]));
    fs::remove_file(work.join("numbers/deep/a.yaml")).unwrap();
    fs::write(work.join("numbers/b.yaml"), number("b", "+12125550102")).unwrap();
    // The prices of the change itself do not count.
    fs::write(work.join("prices.json"), prices("0")).unwrap();
    (folder, work)
}

fn example(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/ci")
        .join(file);
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The script of the step with this name in the workflow for GitHub.
fn step(name: &str) -> String {
    let workflow = example("github.yaml");
    let steps = workflow["jobs"]["plan"]["steps"].as_array().unwrap();
    let mut steps = steps.iter();
    let step = steps.find(|step| step["name"] == name).unwrap();
    step["run"].as_str().unwrap().to_owned()
}

#[test]
fn the_workflow_for_github_writes_the_plan_and_fails_where_it_costs_too_much() {
    for (name, monthly, code) in [("github", "1.15", "2"), ("github-dear", "60", "2")] {
        let (_folder, work) = checkout(name, monthly);
        let (output, summary) = (work.join("output"), work.join("summary"));
        let variables = [
            ("BASE", "main"),
            ("GITHUB_OUTPUT", output.to_str().unwrap()),
            ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
        ];
        assert!(bash(&work, &step("Plan"), &variables));
        let plan = fs::read_to_string(work.join("plan.md")).unwrap();
        // One is bought and one is released: nothing more is paid.
        assert!(plan.contains("**1 bought, 1 released: +0"), "{plan}");
        assert!(
            plan.contains(&format!(
                "| buy | support/b | +12125550102 | twilio | {monthly} |"
            )),
            "{plan}"
        );
        assert_eq!(fs::read_to_string(&summary).unwrap(), plan);
        let said = fs::read_to_string(&output).unwrap();
        assert_eq!(said, format!("code={code}\n"));
        assert!(bash(&work, &step("Judge"), &[("CODE", code)]));
    }
    assert!(!bash(Path::new("/"), &step("Judge"), &[("CODE", "3")]));
    assert!(!bash(Path::new("/"), &step("Judge"), &[("CODE", "1")]));
    assert!(step("Comment").starts_with("gh pr comment "));
}

/// The script of the job for GitLab.
fn job() -> String {
    let job = example("gitlab-ci.yml");
    let script = job["phone-numbers"]["script"].as_array().unwrap();
    let script: Vec<_> = script.iter().map(|line| line.as_str().unwrap()).collect();
    script.join("\n")
}

#[test]
fn the_job_for_gitlab_compares_a_fork_with_the_project_that_the_change_is_for() {
    let (folder, work) = checkout("gitlab-fork", "1.15");
    assert!(bash(&work, "git remote set-url origin /nowhere", &[]));
    let project = folder.0.join("origin");
    let variables = [
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        ("CI_MERGE_REQUEST_PROJECT_URL", project.to_str().unwrap()),
        ("CI_MERGE_REQUEST_PROJECT_ID", "1"),
        ("CI_PROJECT_ID", "2"),
    ];
    assert!(bash(&work, &job(), &variables));
    let plan = fs::read_to_string(work.join("plan.md")).unwrap();
    assert!(
        plan.contains("| buy | support/b | +12125550102 | twilio | 1.15 |"),
        "{plan}"
    );
    assert!(job().contains("projects/$CI_MERGE_REQUEST_PROJECT_ID/merge_requests/"));
}

#[test]
fn the_job_for_gitlab_writes_writes_the_plan_and_fails_where_it_costs_too_much() {
    let script = job();
    for (name, monthly, more, passes) in [
        ("gitlab", "1.15", 1, true),
        ("gitlab-dear", "30", 2, true),
        ("gitlab-dearer", "30", 3, false),
    ] {
        let (_folder, work) = checkout(name, monthly);
        for at in 1..more {
            let text = number(&format!("more-{at}"), &format!("+1212555020{at}"));
            fs::write(work.join(format!("numbers/more-{at}.yaml")), text).unwrap();
        }
        let variables = [("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main")];
        assert_eq!(bash(&work, &script, &variables), passes, "{name}");
        let plan = fs::read_to_string(work.join("plan.md")).unwrap();
        assert!(plan.contains("1 released: +"), "{plan}");
        assert_eq!(plan.contains("Over a maximum"), !passes, "{plan}");
    }
}
