//! `plan` on manifests alone: without a cluster, a credential or a kubeconfig.

#![cfg(test)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("plan-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("base")).unwrap();
        fs::create_dir_all(path.join("new")).unwrap();
        Self(path)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const ACCOUNT: &str = "---
apiVersion: telephony.burki.dev/v1alpha1
kind: ProviderAccount
metadata: {name: twilio}
spec:
  provider: twilio
  twilio: {credentialsSecretRef: {name: twilio}}
  webhooks: {baseUrl: https://voice.example.com}
";

fn number(name: &str, number: &str) -> String {
    format!(
        "---\napiVersion: telephony.burki.dev/v1alpha1\nkind: PhoneNumber\nmetadata: {{name: {name}}}\nspec: {{provider: \
         twilio, phoneNumber: \"{number}\"}}\n"
    )
}

const PRICES: &str = r#"{"apiVersion": "telephony.burki.dev/v1", "kind": "PriceList", "generated": "2020-01-01T00:00:00Z",
"accounts": [{"kind": "ProviderAccount", "namespace": "support", "name": "twilio", "provider": "twilio",
"prices": [{"country": "US", "type": "local", "monthly": "1.15", "upfront": "0", "currency": "USD"}]}]}"#;

fn plan(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    plan_with(folder, arguments, &[])
}

/// The same with these variables in its environment.
fn plan_with(
    folder: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> (i32, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_kubectl-phonenumbers"));
    let Output {
        status,
        stdout,
        stderr,
    } = program
        .arg("plan")
        .args(arguments)
        .current_dir(folder)
        .env("KUBECONFIG", "/nowhere")
        .env("HOME", "/nowhere")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn colours_are_for_terminals_and_no_color_takes_them_away() {
    let folder = Folder::new("colours");
    folder.write("base/numbers.yaml", ACCOUNT);
    let new = format!("{ACCOUNT}{}", number("a", "+12125550102"));
    folder.write("new/numbers.yaml", &new);
    folder.write("prices.json", PRICES);
    let own = ["-f", "new", "--base", "base", "-n", "support"];
    let own = [&own[..], &["--prices", "prices.json"]].concat();
    let piped = plan(&folder.0, &own);
    assert_eq!(piped.0, 2, "{piped:?}");
    assert!(piped.1.contains("\nbuy"), "{piped:?}");
    let force = ("CLICOLOR_FORCE", "1");
    let coloured = plan_with(&folder.0, &own, &[force]);
    assert!(
        coloured.1.contains("\n\u{1b}[33mbuy\u{1b}[0m "),
        "{coloured:?}"
    );
    let without = |text: &str| text.replace("\u{1b}[33m", "").replace("\u{1b}[0m", "");
    assert_eq!(without(&coloured.1), piped.1);
    let refused = plan_with(&folder.0, &own, &[force, ("NO_COLOR", "1")]);
    assert_eq!(refused, piped);
    let json = [&own[..], &["-o", "json"]].concat();
    let forced = plan_with(&folder.0, &json, &[force]);
    assert_eq!(forced, plan(&folder.0, &json));
}

#[test]
fn both_sides_and_a_price_file_are_all_that_is_needed() {
    let folder = Folder::new("both");
    let base = format!("{ACCOUNT}{}", number("goes", "+12125550101"));
    let new = format!(
        "{ACCOUNT}{}{}",
        number("a", "+12125550102"),
        number("b", "+12125550103")
    );
    folder.write("base/numbers.yaml", &base);
    folder.write("new/numbers.yaml", &new);
    folder.write("prices.json", PRICES);
    let ask = |more: &[&str]| {
        let all = [
            "-n",
            "support",
            "-f",
            "new",
            "--base",
            "base",
            "--prices",
            "prices.json",
        ];
        plan(&folder.0, &[&all, more].concat())
    };
    let (code, output, error) = ask(&[]);
    assert_eq!(code, 2, "{output}{error}");
    let rows: Vec<Vec<&str>> = output
        .lines()
        .map(|line| line.split_whitespace().take(7).collect())
        .collect();
    assert_eq!(
        rows[1..],
        [
            [
                "buy",
                "support/a",
                "+12125550102",
                "twilio",
                "1.15",
                "0",
                "USD"
            ],
            [
                "buy",
                "support/b",
                "+12125550103",
                "twilio",
                "1.15",
                "0",
                "USD"
            ],
            [
                "release",
                "support/goes",
                "+12125550101",
                "twilio",
                "1.15",
                "0",
                "USD"
            ],
        ]
    );
    assert!(
        error.starts_with("2 bought, 1 released: +1.15 USD a month.\n"),
        "{error}"
    );
    assert!(
        error.contains("warning: the prices in prices.json are "),
        "{error}"
    );

    let (code, markdown, _) = ask(&["-o", "markdown", "--max-monthly-increase", "1USD"]);
    assert_eq!(code, 3);
    assert!(
        markdown.contains("**2 bought, 1 released: +1.15 USD a month.**"),
        "{markdown}"
    );
    let over = "is 0.15 more than --max-monthly-increase 1USD";
    assert!(markdown.contains(over), "{markdown}");

    let (code, json, _) = ask(&["-o", "json", "--max-monthly-increase", "1.15USD"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["exitCode"]), (2, &serde_json::json!(2)));
    assert_eq!(json["totals"]["currencies"][0]["monthlyNet"], "1.15");
    let same = ["-n", "support", "-f", "base", "--base", "base"];
    assert_eq!(plan(&folder.0, &same).0, 0);
}

#[test]
fn a_wrong_command_and_a_broken_manifest_are_told_in_one_line_without_the_codes_of_an_answer() {
    let folder = Folder::new("wrong");
    folder.write("new/numbers.yaml", "a: [\n");
    folder.write("prices.json", "{}");
    for (arguments, says) in [
        (&[][..], "required arguments were not provided"),
        (&["-f", "new"], "required arguments were not provided"),
        (
            &["-f", "new", "--base", "base", "--against-cluster"],
            "cannot be used with",
        ),
        (
            &["-f", "new", "--base", "base", "--prune"],
            "cannot be used with",
        ),
        (
            &["-f", "new", "--base", "base", "--max-upfront", "much"],
            "such as 50USD",
        ),
        (
            &["-f", "new", "--base", "base", "--unknown"],
            "unexpected argument",
        ),
        (&["-f", "new", "--base", "base"], "document 1 is not YAML"),
        (&["-f", "base", "--base", "nowhere"], "cannot read nowhere"),
        (
            &["-f", "base", "--base", "base", "--prices", "prices.json"],
            "holds no prices",
        ),
        (&["-f", "base", "--against-cluster"], "no cluster to ask"),
    ] {
        let (code, output, error) = plan(&folder.0, arguments);
        assert_eq!((code, output.as_str()), (1, ""), "{arguments:?} {error}");
        assert_eq!(error.lines().count(), 1, "{arguments:?} {error}");
        assert!(error.contains(says), "{arguments:?} {error}");
    }
    let (code, help, _) = plan(&folder.0, &["--help"]);
    assert_eq!(code, 0);
    assert!(help.contains("--against-cluster"), "{help}");
}

#[test]
fn a_reader_that_goes_does_not_change_the_exit_code() {
    let folder = Folder::new("reader");
    let mut program = Command::new(env!("CARGO_BIN_EXE_kubectl-phonenumbers"))
        .args(["plan", "-n", "support", "-f", "-", "--base", "base"])
        .current_dir(&folder.0)
        .env("KUBECONFIG", "/nowhere")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It goes before the program has read what to answer.
    drop(program.stdout.take());
    let mut input = program.stdin.take().unwrap();
    let text = format!("{ACCOUNT}{}", number("a", "+12125550101"));
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    assert_eq!(program.wait().unwrap().code(), Some(2));
}
