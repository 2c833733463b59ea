//! A number that is Ready for calls and not for texts.

use serde_json::json;
use test_support::emulator::TWILIO_ACCOUNT;

use super::Demo;

const SERVICE: &str = "MG00000000000000000000000000000001";

impl Demo {
    pub(super) async fn ask_why_texts_are_blocked(&mut self) {
        self.chapter("A number is Ready for calls, and carriers block its texts");
        let path = |field: &str| {
            format!(r#"jsonpath={{.status.conditions[?(@.type=="MessagingReady")].{field}}}"#)
        };
        let (message, reason) = (path("message"), path("reason"));
        let number = ["get", "phonenumber", "nyc-support", "-n", "support", "-o"];
        let why = self.kubectl(&[&number[..], &[&message]].concat());
        println!();
        assert!(why.contains("no campaign"), "{why}");
        assert_eq!(
            self.ask(&[&number[..], &[&reason]].concat()),
            "CampaignMissing"
        );
        println!(
            "Somebody registers a campaign for a messaging service, and the manifest names the service."
        );
        let registration =
            json!({"account": TWILIO_ACCOUNT, "subject": SERVICE, "status": "VERIFIED"});
        self.emulator
            .post("/console/registrations", registration)
            .await;
        let patch = format!(r#"{{"spec":{{"twilio":{{"messagingServiceSid":"{SERVICE}"}}}}}}"#);
        let merge = ["-n", "support", "--type=merge", "-p", &patch];
        self.kubectl(&[&["patch", "phonenumber", "nyc-support"][..], &merge].concat());
        self.kubectl(&[
            "wait",
            "--for=condition=MessagingReady",
            "phonenumber/nyc-support",
            "-n",
            "support",
            "--timeout=60s",
        ]);
        self.kubectl(&["get", "phonenumber", "nyc-support", "-n", "support"]);
    }
}
