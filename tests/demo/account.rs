//! The chapters about what an account sells, what that may cost, and what it holds already.

use serde_json::json;
use test_support::emulator::TWILIO_ACCOUNT;

use super::Demo;

impl Demo {
    pub(super) async fn search_for_a_number(&mut self) {
        self.chapter("Want any number that fits: the operator searches, picks one and buys it");
        self.kubectl(&["apply", "-f", "examples/search.yaml"]);
        self.until_ready("support", "sales").await;
        self.kubectl(&["get", "phonenumber", "sales", "-n", "support", "-o", "wide"]);
        let number = self.shown("support", "sales", ".status.phoneNumber");
        assert!(number.starts_with("+1212"), "{number} is as it was wanted");
        assert_eq!(self.emulator.purchases(&number).await, 1);
        let cost = self.shown("support", "sales", ".status.cost.monthly");
        println!("  seen: {number} was picked, and costs {cost} a month");
        assert_eq!(cost, "1.15");
    }

    pub(super) async fn refuse_what_costs_too_much(&mut self) {
        self.chapter("Limit what a number may cost: nothing is bought above it");
        let number = "+12125550198";
        let manifest = json!({
            "apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
            "metadata": {"name": "frugal", "namespace": "support"},
            "spec": {"phoneNumber": number, "provider": "twilio",
                "maxMonthlyCost": {"amount": "1.00", "currency": "USD"}},
        });
        let file = self.plane.folder().join("frugal.json");
        std::fs::write(&file, manifest.to_string()).unwrap();
        let before = self.purchase_requests().await;
        self.kubectl(&["apply", "-f", file.to_str().unwrap()]);
        self.until("the reason is CostLimitExceeded", async |demo| {
            demo.shown("support", "frugal", READY_REASON) == "CostLimitExceeded"
        })
        .await;
        let path = r#".status.conditions[?(@.type=="Ready")].message"#;
        println!("  {}", self.shown("support", "frugal", path));
        assert_eq!(self.emulator.purchases(number).await, 0);
        assert_eq!(self.purchase_requests().await, before, "none was tried");
        println!("  seen: no purchase was tried");
        self.kubectl(&[
            "delete",
            "phonenumber",
            "frugal",
            "-n",
            "support",
            "--timeout=60s",
        ]);
    }

    pub(super) async fn adopt_a_number(&mut self) {
        self.chapter("Take over a number that somebody bought by hand");
        let number = "+12125550130";
        let purchase = json!({"provider": "twilio", "account": TWILIO_ACCOUNT,
            "number": number});
        self.emulator.post("/console/buy", purchase).await;
        println!("  console: {number} is bought by hand, without webhooks");
        let before = self.purchase_requests().await;
        self.kubectl(&["apply", "-f", "examples/adopt.yaml"]);
        self.until_ready("reception", "front-desk").await;
        assert_eq!(
            self.shown("reception", "front-desk", ".status.adopted"),
            "true"
        );
        let row = self.emulator.number(number).await;
        println!(
            "  seen: it is called {} and answered at {}",
            row["friendly_name"], row["voice_url"]
        );
        assert_eq!(row["voice_url"], "https://voice.example.com/twiml");
        self.until("the account counts it", async |demo| {
            let path = "jsonpath={.status.managed}";
            let managed = demo.ask(&[
                "get",
                "provideraccount",
                "twilio",
                "-n",
                "reception",
                "-o",
                path,
            ]);
            managed.parse::<u32>().is_ok_and(|managed| managed > 0)
        })
        .await;
        self.kubectl(&["get", "provideraccounts", "-A"]);
        let delete = [
            "delete",
            "phonenumber",
            "front-desk",
            "-n",
            "reception",
            "--timeout=60s",
        ];
        self.kubectl(&delete);
        self.show_ledger(Some(number)).await;
        assert_eq!(self.purchase_requests().await, before, "nothing was bought");
        assert_eq!(
            self.emulator.releases(number).await,
            0,
            "what was adopted is kept"
        );
        println!("  seen: {number} was never paid for again, and is still in the account");
    }

    async fn until_ready(&self, namespace: &str, name: &str) {
        self.kubectl(&[
            "wait",
            "--for=condition=Ready",
            &format!("phonenumber/{name}"),
            "-n",
            namespace,
            "--timeout=90s",
        ]);
    }

    fn shown(&self, namespace: &str, name: &str, path: &str) -> String {
        let path = format!("jsonpath={{{path}}}");
        self.ask(&["get", "phonenumber", name, "-n", namespace, "-o", &path])
    }

    /// How often a purchase was asked for.
    async fn purchase_requests(&self) -> u64 {
        let requests = self.emulator.requests().await;
        let buys = requests.iter().filter(|(name, _)| name.ends_with(" buy"));
        buys.map(|(_, count)| count).sum()
    }
}

const READY_REASON: &str = r#".status.conditions[?(@.type=="Ready")].reason"#;
