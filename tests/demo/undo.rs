//! A deletion that is undone, because the account gives people time to think again.

use serde_json::json;

use crate::Demo;

const OBJECT: [&str; 4] = ["phonenumber", "killed", "-n", "support"];

impl Demo {
    pub(crate) async fn undo_a_deletion(&mut self) {
        self.chapter("Delete a manifest by mistake, and undo it");
        let number = self.spec_number("support", "killed");
        self.set_release_delay("\"72h\"");
        self.kubectl(&[
            "delete",
            "phonenumber",
            "killed",
            "-n",
            "support",
            "--wait=false",
        ]);
        self.until("it waits for 72 hours", async |demo| {
            let path = r#"jsonpath={.status.conditions[?(@.type=="Ready")].reason}"#;
            demo.ask(&[&["get"], &OBJECT[..], &["-o", path]].concat()) == "ReleaseDelayed"
        })
        .await;
        self.kubectl(&[&["get"], &OBJECT[..], &["-o", "wide"]].concat());
        let keep = json!({"spec": {"deletionPolicy": "Retain"}}).to_string();
        self.kubectl(&[&["patch"], &OBJECT[..], &["--type=merge", "-p", &keep]].concat());
        self.until("the object is gone", async |demo| {
            let found = [&["get"], &OBJECT[..], &["--ignore-not-found", "-o", "name"]].concat();
            demo.ask(&found).is_empty()
        })
        .await;
        println!("  the account still holds {number}; the manifest comes back from Git");
        let file = self.plane.folder().join("killed.json");
        self.kubectl(&["apply", "-f", file.to_str().unwrap()]);
        let ready = ["--for=condition=Ready", "--timeout=90s"];
        self.kubectl(&[&["wait"], &ready[..], &OBJECT[..]].concat());
        self.show_ledger(Some(&number)).await;
        let spent = self.emulator.purchases(&number).await;
        let released = self.emulator.releases(&number).await;
        assert_eq!((spent, released), (1, 0), "the same number is back");
        self.set_release_delay("null");
    }

    fn set_release_delay(&self, delay: &str) {
        let patch = format!(r#"{{"spec":{{"limits":{{"releaseDelay":{delay}}}}}}}"#);
        let account = ["patch", "provideraccount", "twilio", "-n", "support"];
        self.kubectl(&[&account[..], &["--type=merge", "-p", &patch]].concat());
    }
}
