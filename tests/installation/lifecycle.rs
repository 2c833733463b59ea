//! What becomes of numbers when the release is upgraded, rolled back, uninstalled and installed again.

use serde_json::json;
use test_support::control_plane::ControlPlane;
use test_support::emulator::{CONNECTION, Emulator, TWILIO_ACCOUNT};
use test_support::helm::CHART;
use test_support::kubectl::kubectl;

use crate::office::{
    RELEASE, account, apply, get, helm_on, install, namespace, number, operator, stop, until,
    until_gone, until_ready,
};

const NUMBERS: [(&str, &str); 3] = [
    ("bought", "+12125551001"),
    ("ordered", "+12125551002"),
    ("adopted", "+12125551003"),
];

/// How often each number was paid for and given back.
async fn deeds(emulator: &Emulator) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (_, number) in NUMBERS {
        found.push((
            emulator.purchases(number).await,
            emulator.releases(number).await,
        ));
    }
    found
}

async fn all_ready(plane: &ControlPlane) {
    for (name, _) in NUMBERS {
        until_ready(plane, "support", name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_comes_and_goes_and_no_number_with_it() {
    let plane = ControlPlane::start().await.unwrap();
    install(&plane, &[]);
    let emulator = Emulator::start();
    let leader = operator(&plane, &emulator, &[]).await;
    namespace(&plane, "support");
    for provider in ["twilio", "telnyx"] {
        let place = json!({"namespace": "support"});
        account(&plane, &emulator, "ProviderAccount", place, provider);
    }
    let by_hand = json!({"provider": "twilio", "account": TWILIO_ACCOUNT, "number": NUMBERS[2].1});
    emulator.post("/console/buy", by_hand).await;
    let specs = [
        json!({"provider": "twilio", "phoneNumber": NUMBERS[0].1, "assistantId": 101}),
        json!({"provider": "telnyx", "phoneNumber": NUMBERS[1].1, "telnyx": {"connectionId": CONNECTION}}),
        json!({"provider": "twilio", "phoneNumber": NUMBERS[2].1, "adoptionPolicy": "Adopt"}),
    ];
    for ((name, _), spec) in NUMBERS.iter().zip(specs) {
        apply(&plane, &number("support", name, spec));
    }
    all_ready(&plane).await;
    let before = deeds(&emulator).await;

    // Upgraded, with the definitions applied again, and back; a new pod takes over from the old one each time.
    let change = [
        "--set=replicas=3",
        "--set=flags.concurrency=8",
        "--set=rbac.userRoles=false",
    ];
    helm_on(
        &plane,
        &[&["upgrade", RELEASE, CHART][..], &change].concat(),
    )
    .unwrap();
    let next = operator(&plane, &emulator, &["--concurrency=8"]).await;
    stop(leader).await;
    all_ready(&plane).await;
    helm_on(&plane, &["rollback", RELEASE, "1"]).unwrap();
    let last = operator(&plane, &emulator, &[]).await;
    stop(next).await;
    all_ready(&plane).await;
    assert_eq!(deeds(&emulator).await, before, "after upgrade and rollback");

    // Uninstalled: what runs on has no rights, and what is deleted now waits for an operator.
    helm_on(&plane, &["uninstall", RELEASE]).unwrap();
    kubectl(
        &plane,
        &["delete", "pn", "bought", "-n", "support", "--wait=false"],
    );
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    drop(last);
    let waiting = get(&plane, &["pn", "bought", "-n", "support"]);
    assert_eq!(
        waiting["metadata"]["finalizers"],
        json!(["telephony.burki.dev/release"])
    );
    assert_eq!(
        deeds(&emulator).await,
        before,
        "after the release was uninstalled"
    );

    // Installed again: every number is known by its mark, and what was deleted is released once.
    install(&plane, &[]);
    let again = operator(&plane, &emulator, &[]).await;
    until_gone(&plane, &["pn", "bought", "-n", "support"]).await;
    for (name, _) in &NUMBERS[1..] {
        until_ready(&plane, "support", name).await;
    }
    let mut wanted = before;
    wanted[0].1 += 1;
    until("one release", async || deeds(&emulator).await == wanted).await;
    stop(again).await;
}
