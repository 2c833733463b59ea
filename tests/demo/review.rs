//! A change that people see with its price before they merge it, and its end before they delete it.

use serde_json::Value;
use test_support::emulator::number_of;
use test_support::program;

use crate::Demo;

/// The exit code of a plan that buys or releases.
const SPENDS: i32 = 2;

impl Demo {
    pub(crate) async fn review_a_change(&mut self) {
        self.chapter("See it before you merge it: search, plan with price, release preview");
        let search = "search twilio -n support --country US --area-code 415 --limit 2";
        self.plugin(search, 0);
        let manifests = self.plugin(&format!("{search} --name-prefix reviewed -o yaml"), 0);
        let file = self.plane.folder().join("reviewed.yaml");
        std::fs::write(&file, manifests).unwrap();
        let file = file.to_str().unwrap().to_owned();
        println!("  the two manifests are {file}, in a pull request");

        let plan = format!("plan -n support -f {file} --against-cluster");
        self.plugin(&format!("{plan} -o markdown"), SPENDS);
        let planned = self.plugin(&format!("{plan} -o json"), SPENDS);
        let planned: Value = serde_json::from_str(&planned).unwrap();
        let objects = planned["objects"].as_array().unwrap();
        let actions: Vec<_> = objects.iter().map(|object| &object["action"]).collect();
        assert_eq!(actions, ["buy", "buy"]);

        println!("  it is merged");
        self.kubectl(&["apply", "-f", &file]);
        let mut held = Vec::new();
        for object in objects {
            let name = object["name"].as_str().unwrap();
            let number = ["phonenumber", name, "-n", "support"];
            let ready = ["wait", "--for=condition=Ready", "--timeout=90s"];
            self.kubectl(&[&ready[..], &number].concat());
            let whole = self.ask(&[&["get"], &number[..], &["-o", "json"]].concat());
            let whole: Value = serde_json::from_str(&whole).unwrap();
            let cost = &whole["status"]["cost"];
            for part in ["monthly", "upfront", "currency"] {
                assert_eq!(cost[part], object[part], "{name}: {cost} {object}");
            }
            held.push(whole["status"]["phoneNumber"].as_str().unwrap().to_owned());
        }
        for number in &held {
            self.show_ledger(Some(number)).await;
            assert_eq!(self.emulator.purchases(number).await, 1);
        }
        println!("  seen: what was planned was bought, cent by cent");

        let preview = self.plugin(&format!("release-preview -n support -f {file}"), 0);
        assert_eq!(preview.matches("Release").count(), held.len(), "{preview}");
        self.kubectl(&["delete", "-f", &file, "--timeout=60s"]);
        let ledger = self.emulator.ledger().await;
        for number in &held {
            let released =
                |entry: &&Value| entry["deed"] == "release" && number_of(entry) == *number;
            assert_eq!(ledger.iter().filter(released).count(), 1, "{number}");
        }
        println!("  seen: what was previewed was released");
    }

    /// Runs `kubectl phonenumbers` with these words, and shows the command and its output. Returns the output.
    fn plugin(&self, words: &str, code: i32) -> String {
        println!("$ kubectl phonenumbers {words}");
        let folder = program("kubectl-phonenumbers").parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(folder).chain(std::env::split_paths(&path));
        let endpoints = format!(
            "twilio={},telnyx={}",
            self.emulator.twilio, self.emulator.telnyx
        );
        let mut command = self.plane.kubectl();
        command
            .env("PATH", std::env::join_paths(paths).unwrap())
            .env("PHONENUMBER_PROVIDER_ENDPOINT", endpoints)
            .arg("phonenumbers")
            .args(words.split(' '))
            .stdin(std::process::Stdio::null());
        let output = command.output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        print!("{out}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(code),
            "kubectl phonenumbers {words}"
        );
        out
    }
}
