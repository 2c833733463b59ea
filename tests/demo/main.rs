//! The main job for people to watch: `make demo`. A real kube-apiserver, the operator, and an emulated phone company.
//!
//! Everything that is told is looked at; the exit code is 0 only if all of it was so.

#![cfg(test)]

mod account;
mod messages;
mod review;
mod undo;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::emulator::{self, Emulator};
use test_support::kubectl::{OPERATOR_NAMESPACE, try_kubectl};
use test_support::process::Process;
use test_support::program;

const PATIENCE: Duration = Duration::from_secs(90);

/// What ends first is first.
struct Demo {
    operator: Option<Process>,
    emulator: Emulator,
    plane: ControlPlane,
    chapter: usize,
}

#[tokio::main]
async fn main() {
    println!(
        "Starting etcd and kube-apiserver (the first time they are built, which takes minutes) ..."
    );
    let plane = ControlPlane::start().await.expect("a control plane");
    let mut demo = Demo {
        plane,
        emulator: Emulator::start(),
        operator: None,
        chapter: 0,
    };
    demo.install().await;
    demo.apply_examples().await;
    demo.ask_why_texts_are_blocked().await;
    demo.search_for_a_number().await;
    demo.refuse_what_costs_too_much().await;
    demo.review_a_change().await;
    demo.adopt_a_number().await;
    demo.change_an_assistant().await;
    demo.repair_a_webhook().await;
    demo.kill_in_the_middle_of_a_purchase().await;
    demo.undo_a_deletion().await;
    demo.delete_a_manifest().await;
    demo.retain_a_number().await;
    demo.sum_up().await;
    if std::env::var("KEEP").is_ok_and(|keep| !keep.is_empty() && keep != "0") {
        demo.keep().await;
    }
}

impl Demo {
    fn chapter(&mut self, title: &str) {
        self.chapter += 1;
        println!("\n\x1b[1m{}. {title}\x1b[0m", self.chapter);
    }

    /// Runs kubectl as a user would, shows the command and its output, and returns the output.
    fn kubectl(&self, arguments: &[&str]) -> String {
        let quoted = arguments.iter().map(|argument| match argument {
            plain if !plain.contains(['{', '"', '*']) => (*plain).to_owned(),
            special => format!("'{special}'"),
        });
        println!("$ kubectl {}", quoted.collect::<Vec<_>>().join(" "));
        let output = self
            .plane
            .kubectl()
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (out, error) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        print!("{out}{error}");
        assert!(
            output.status.success(),
            "kubectl {} failed",
            arguments.join(" ")
        );
        out.into_owned()
    }

    /// The same without showing it, for looking whether something is so yet.
    fn ask(&self, arguments: &[&str]) -> String {
        try_kubectl(&self.plane, arguments).unwrap_or_default()
    }

    async fn start_operator(&mut self) {
        let kubeconfig = self
            .plane
            .kubeconfig_for_service_account(OPERATOR_NAMESPACE, "phonenumber-operator")
            .await
            .unwrap();
        let child = Command::new(program("phonenumber-operator"))
            .arg("run")
            .args(self.emulator.endpoint_flags())
            .args([
                "--inventory-interval",
                "2s",
                "--purchase-timeout",
                "5s",
                "--listen",
                "127.0.0.1:0",
            ])
            .args(["--log-level", "warn", "--leader-elect", "false"])
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.operator = Some(Process(child));
    }

    async fn until(&self, what: &str, mut done: impl AsyncFnMut(&Self) -> bool) {
        let begun = Instant::now();
        let mut told = Instant::now();
        while !done(self).await {
            assert!(begun.elapsed() < PATIENCE, "this did not come: {what}");
            if told.elapsed() > Duration::from_secs(3) {
                told = Instant::now();
                println!("  ... waiting: {what}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        println!("  seen: {what}");
    }

    async fn install(&mut self) {
        self.chapter("Install the operator: resource definitions, RBAC, admission policy");
        self.kubectl(&["apply", "--server-side", "-f", "config/install.yaml"]);
        self.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd",
            "-l",
            "app.kubernetes.io/name=phonenumber-operator",
        ]);
        println!(
            "No kubelet runs here, so the operator runs as a process, with a token of its ServiceAccount."
        );
        self.start_operator().await;
    }

    async fn apply_examples(&mut self) {
        self.chapter("Apply manifests: numbers at Twilio and at Telnyx");
        for file in ["one-number.yaml", "telnyx.yaml", "retain.yaml"] {
            self.kubectl(&["apply", "-f", &format!("examples/{file}")]);
        }
        self.kubectl(&["apply", "-f", "examples/brands"]);
        for overlay in ["us-east", "eu-west"] {
            self.kubectl(&["apply", "-k", &format!("examples/regions/{overlay}")]);
        }
        self.kubectl(&[
            "wait",
            "--for=condition=Ready",
            "phonenumbers",
            "--all",
            "-A",
            "--timeout=90s",
        ]);
        self.kubectl(&["get", "phonenumbers", "-A"]);
        self.kubectl(&["get", "phonenumbers", "-A", "-o", "wide"]);
        self.kubectl(&["describe", "phonenumber", "nyc-support", "-n", "support"]);
        self.show_ledger(None).await;
    }

    async fn change_an_assistant(&mut self) {
        self.chapter("Change who answers");
        let patch = r#"{"spec":{"assistantId":102}}"#;
        self.kubectl(&[
            "patch",
            "phonenumber",
            "nyc-support",
            "-n",
            "support",
            "--type=merge",
            "-p",
            patch,
        ]);
        let number = self.spec_number("support", "nyc-support");
        self.until("Burki has the number on assistant 102", async |demo| {
            demo.emulator.assistant_of(&number).await == Some(102)
        })
        .await;
        self.until("status.assistant.id is 102", async |demo| {
            let path = "jsonpath={.status.assistant.id}";
            demo.ask(&[
                "get",
                "phonenumber",
                "nyc-support",
                "-n",
                "support",
                "-o",
                path,
            ]) == "102"
        })
        .await;
        assert_eq!(
            self.emulator.purchases(&number).await,
            1,
            "a reassignment is not a purchase"
        );
    }

    async fn repair_a_webhook(&mut self) {
        self.chapter("Somebody edits a webhook in the provider's console");
        let number = self.spec_number("support", "nyc-support");
        let before = self.emulator.number(&number).await;
        self.emulator
            .edit(
                &number,
                json!({"voice_url": "https://elsewhere.example.com/"}),
            )
            .await;
        println!("  console: the voice webhook of {number} is https://elsewhere.example.com/ now");
        self.until("the webhook is as declared again", async |demo| {
            demo.emulator.number(&number).await["voice_url"] == before["voice_url"]
        })
        .await;
    }

    async fn kill_in_the_middle_of_a_purchase(&mut self) {
        self.chapter("Kill the operator in the middle of a purchase");
        let number = "+12125550199";
        self.emulator
            .fault_on_purchase("twilio", "hang-after-commit", 1)
            .await;
        println!("  the phone company will sell the next number and never answer");
        let manifest = json!({
            "apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
            "metadata": {"name": "killed", "namespace": "support"},
            "spec": {"phoneNumber": number, "provider": "twilio"},
        });
        let file = self.plane.folder().join("killed.json");
        std::fs::write(&file, manifest.to_string()).unwrap();
        self.kubectl(&["apply", "-f", file.to_str().unwrap()]);
        self.until("the company has sold it", async |demo| {
            demo.emulator.purchases(number).await == 1
        })
        .await;
        println!("$ kill -9 {}", self.operator.as_ref().unwrap().0.id());
        self.operator = None;
        let id = self.ask(&[
            "get",
            "phonenumber",
            "killed",
            "-n",
            "support",
            "-o",
            "jsonpath={.status.id}",
        ]);
        assert_eq!(
            id, "",
            "it was killed before it could write the number down"
        );
        self.emulator.clear_faults().await;
        println!("  a number is paid for, and no status knows of it. Starting the operator again.");
        self.start_operator().await;
        self.kubectl(&[
            "wait",
            "--for=condition=Ready",
            "phonenumber/killed",
            "-n",
            "support",
            "--timeout=90s",
        ]);
        self.show_ledger(Some(number)).await;
        assert_eq!(
            self.emulator.purchases(number).await,
            1,
            "nothing was bought twice"
        );
    }

    async fn delete_a_manifest(&mut self) {
        self.chapter("Delete a manifest: the number is given back");
        let number = self.spec_number("support", "killed");
        self.kubectl(&[
            "delete",
            "phonenumber",
            "killed",
            "-n",
            "support",
            "--timeout=60s",
        ]);
        self.show_ledger(Some(&number)).await;
        assert_eq!(self.emulator.releases(&number).await, 1);
    }

    async fn retain_a_number(&mut self) {
        self.chapter("Delete one with deletionPolicy: Retain: the number stays");
        let list = self.ask(&["get", "phonenumbers", "-A", "-o", "json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        let retained = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["spec"]["deletionPolicy"] == "Retain")
            .expect("examples/retain.yaml declares one");
        let (namespace, name) = (
            &retained["metadata"]["namespace"],
            &retained["metadata"]["name"],
        );
        let number = retained["spec"]["phoneNumber"].as_str().unwrap().to_owned();
        let (namespace, name) = (namespace.as_str().unwrap(), name.as_str().unwrap());
        self.kubectl(&[
            "delete",
            "phonenumber",
            name,
            "-n",
            namespace,
            "--timeout=60s",
        ]);
        assert_eq!(self.emulator.releases(&number).await, 0);
        assert!(
            !self.emulator.number(&number).await.is_null(),
            "the account still holds it"
        );
        println!("  seen: {number} is still in the account, and its object is gone");
    }

    async fn sum_up(&mut self) {
        self.chapter("The sum");
        let ledger = self.emulator.ledger().await;
        let mut bought = std::collections::BTreeMap::<String, usize>::new();
        for entry in ledger.iter().filter(|entry| emulator::is_purchase(entry)) {
            *bought.entry(emulator::number_of(entry)).or_default() += 1;
        }
        assert!(bought.values().all(|times| *times == 1), "{bought:?}");
        println!("  {} numbers were bought, each once.", bought.len());
        println!("\nAll of it was observed.");
    }

    async fn show_ledger(&self, number: Option<&str>) {
        println!("  the company's ledger:");
        for entry in self.emulator.ledger().await {
            if number.is_none_or(|number| emulator::number_of(&entry) == number) {
                println!("    {}", emulator::line(&entry));
            }
        }
    }

    fn spec_number(&self, namespace: &str, name: &str) -> String {
        self.ask(&[
            "get",
            "phonenumber",
            name,
            "-n",
            namespace,
            "-o",
            "jsonpath={.spec.phoneNumber}",
        ])
    }

    async fn keep(&self) {
        println!("\nStill running. Look around with:\n");
        println!(
            "  export KUBECONFIG={}",
            self.plane.kubeconfig_for_admin().display()
        );
        println!("  kubectl get phonenumbers -A");
        println!("  curl {}/ledger\n", self.emulator.control);
        println!("Ctrl-C ends it.");
        let _ = tokio::signal::ctrl_c().await;
    }
}
