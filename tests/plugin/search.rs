//! A person looks before buying: what is on sale at both companies, and manifests that buy it.

use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::emulator::TWILIO_ACCOUNT;
use test_support::kubectl::kubectl_with;
use test_support::world::World;

use crate::plugin::{Ran, apply, phonenumbers, phonenumbers_as, user};

const HEADINGS: [&str; 9] = [
    "NUMBER",
    "ACCOUNT",
    "PROVIDER",
    "TYPE",
    "PLACE",
    "CAPABILITIES",
    "MONTHLY",
    "SETUP",
    "CURRENCY",
];

/// Asks in the namespace of `world`.
fn search(world: &World, plane: &ControlPlane, arguments: &[&str]) -> Ran {
    let own = ["search", "-n", &world.namespace];
    phonenumbers(plane, &world.emulator, &[&own, arguments].concat())
}

/// What `kubectl apply` says of `manifests` that the API server only tries.
fn tried(plane: &ControlPlane, manifests: &str) -> usize {
    let arguments = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
    let said = kubectl_with(plane, &arguments, manifests);
    said.matches(" created (server dry run)").count()
}

fn documents(yaml: &str) -> Vec<Value> {
    let documents = yaml.split("---\n").skip(1);
    documents
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_companies_are_searched_side_by_side_by_who_may_get_accounts_and_secrets_alone() {
    let plane = ControlPlane::shared().await;
    let mut world = World::new("looking").await;
    world.kill_operator();
    let rules = [
        ("get", "provideraccounts.telephony.burki.dev"),
        ("get", "secrets"),
    ];
    let looker = user(plane, &world.namespace, "looker", &rules, &[]).await;
    let before = (world.emulator.ledger().await, world.attempts().await);
    let ask = |arguments: &[&str]| {
        let own = [
            "search",
            "twilio",
            "telnyx",
            "--country=US",
            "--area-code=212",
        ];
        let arguments = [&own, arguments].concat();
        phonenumbers_as(&looker, plane, &world.emulator, &arguments)
    };

    let rows = ask(&[]).rows();
    assert_eq!(rows[0], HEADINGS);
    assert_eq!(rows.len(), 1 + 2 * 10, "{rows:?}");
    for (row, provider, place, monthly, setup) in [
        (&rows[1], "telnyx", "NEW YORK, NY", "1", "1"),
        (&rows[11], "twilio", "New York, NY", "1.15", "0"),
    ] {
        assert_eq!(row[0], "+12122000000");
        let rest = ["local", place, "voice,sms,mms", monthly, setup, "USD"];
        assert_eq!(row[1..], [&[provider, provider], &rest[..]].concat());
    }
    let numbers = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert!(numbers(&rows[1..11]).is_sorted() && numbers(&rows[11..]).is_sorted());
    let wide = ask(&["--limit=1", "-o", "wide", "--no-headers"]).rows();
    assert_eq!(wide.len(), 2);
    assert_eq!(wide[0][9..], ["US", "ProviderAccount"]);
    for form in [&["-oyaml"][..], &["-ojson", "--pin"], &["-oname"]] {
        let made = ask(&[&["--limit=2"], form].concat()).worked();
        assert_eq!(made.matches("us-local-telnyx-").count(), 2, "{made}");
    }
    // Somebody may name an account twice.
    let twice = ["pacc/twilio", "--limit=1", "--no-headers"];
    assert_eq!(ask(&twice).rows().len(), 2);
    let after = (world.emulator.ledger().await, world.attempts().await);
    assert_eq!(after, before, "it only reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifests_of_a_search_apply_as_they_are() {
    let plane = ControlPlane::shared().await;
    let mut world = World::new("trying").await;
    world.kill_operator();
    world.account_named("second", "twilio", json!({})).await;
    let ask = |arguments: &[&str]| search(&world, plane, arguments);

    let of_twenty = [
        "telnyx",
        "--country=US",
        "--limit=20",
        "-o",
        "yaml",
        "--assistant=7",
    ];
    let twenty = ask(&of_twenty);
    assert_eq!(twenty.error, "");
    let twenty = twenty.worked();
    assert_eq!(tried(plane, &twenty), 20, "{twenty}");
    for (at, document) in documents(&twenty).iter().enumerate() {
        let wanted = json!({
            "apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
            "metadata": {"name": format!("us-local-{}", at + 1), "namespace": world.namespace},
            "spec": {"provider": "telnyx", "assistantId": 7,
                "search": {"country": "US", "type": "local", "capabilities": ["voice", "sms"]},
                "maxMonthlyCost": {"amount": "1", "currency": "USD"}},
        });
        assert_eq!(*document, wanted);
    }
    let again = ask(&of_twenty);
    assert_eq!(
        again.worked(),
        twenty,
        "the same question has the same answer"
    );

    // Every wish, and an account that is not the default one.
    let whole = ask(&[
        "second",
        "--country=GB",
        "--type=mobile",
        "--area-code=771",
        "--contains=00",
        "--capabilities=voice",
        "--name-prefix=sales",
        "--limit=2",
        "-o=json",
    ]);
    let whole = whole.worked();
    assert_eq!(tried(plane, &whole), 2, "{whole}");
    let list: Value = serde_json::from_str(&whole).unwrap();
    let first = &list["items"][0];
    assert_eq!(first["metadata"]["name"], "sales-1");
    let account = json!({"kind": "ProviderAccount", "name": "second"});
    assert_eq!(first["spec"]["accountRef"], account);
    let wishes = json!({"country": "GB", "type": "mobile", "areaCode": "771", "contains": "00",
        "capabilities": ["voice"]});
    assert_eq!(first["spec"]["search"], wishes);
    assert_eq!(first["spec"]["maxMonthlyCost"]["amount"], "3");

    // Both, by the very numbers.
    let own = [
        "twilio",
        "telnyx",
        "--country=US",
        "--locality=Boston",
        "--limit=3",
    ];
    let rows = ask(&[&own, &["--no-headers"][..]].concat()).rows();
    let pinned = ask(&[&own, &["--pin", "-oyaml"][..]].concat()).worked();
    assert_eq!(tried(plane, &pinned), 6, "{pinned}");
    let mut told = Vec::new();
    for document in documents(&pinned) {
        let spec = &document["spec"];
        assert_eq!(spec.as_object().unwrap().len(), 2, "{document}");
        let (number, provider) = (spec["phoneNumber"].as_str(), spec["provider"].as_str());
        let (number, provider) = (number.unwrap().to_owned(), provider.unwrap().to_owned());
        let name = format!("us-local-{provider}-{}", &number[1..]);
        assert_eq!(document["metadata"]["name"], name);
        told.push([number, provider]);
    }
    let mut shown: Vec<_> = rows
        .iter()
        .map(|row| [row[0].clone(), row[1].clone()])
        .collect();
    shown.sort();
    told.sort();
    assert_eq!(told, shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_looked_at_is_bought_for_what_was_shown_when_it_is_applied() {
    let plane = ControlPlane::shared().await;
    let world = World::new("buying").await;
    let own = ["twilio", "--country=US", "--area-code=415", "--limit=2"];
    let ask = |arguments: &[&str]| search(&world, plane, &[&own, arguments].concat());
    let rows = ask(&["--no-headers"]).rows();
    let pinned = ask(&["--pin", "-oyaml"]).worked();
    apply(plane, &pinned);
    for row in &rows {
        let name = format!("us-local-{}", &row[0][1..]);
        let number = world.until_ready(&name).await;
        let status = number.status.unwrap();
        assert_eq!(status.phone_number.as_ref(), Some(&row[0]));
        let cost = status.cost.unwrap();
        assert_eq!(
            [cost.monthly, cost.currency],
            [row[6].clone(), row[8].clone()]
        );
    }
    apply(plane, &ask(&["-oyaml"]).worked());
    for name in ["us-local-1", "us-local-2"] {
        let number = world.until_ready(name).await;
        let number = number.status.unwrap().phone_number.unwrap();
        assert!(number.starts_with("+1415"), "{number}");
    }
    assert_eq!(world.bought().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_on_sale_it_says_for_which_account_and_prints_nothing() {
    let plane = ControlPlane::shared().await;
    let mut world = World::new("nothing").await;
    world.kill_operator();
    let namespace = &world.namespace;
    for form in [&[][..], &["-oyaml"], &["-ojson"], &["-oname"]] {
        // One has no such place, the other refuses the country.
        let own = ["twilio", "telnyx", "--country=FR", "--locality=Nowhere"];
        let none = search(&world, plane, &[&own, form].concat());
        assert_eq!((none.code, none.output.as_str()), (0, ""), "{none:?}");
        let mut wanted = ["twilio", "telnyx"].map(|account| {
            format!(
                "No numbers found in ProviderAccount {namespace}/{account}: {account} shows nothing that is as wanted.\n"
            )
        }).concat();
        for account in ["twilio", "telnyx"] {
            for wish in ["--locality Nowhere", "--capabilities voice,sms"] {
                wanted += &format!(
                    "ProviderAccount {namespace}/{account} without {wish}: nothing either.\n"
                );
            }
        }
        assert_eq!(none.error, wanted);
    }
    // Which wish is to blame is asked for once for each.
    let before = world.asked("twilio search").await;
    let own = [
        "twilio",
        "--country=US",
        "--area-code=212",
        "--locality=Nowhere",
    ];
    let blamed = search(&world, plane, &own);
    for line in [
        "without --area-code 212: nothing either.",
        "without --locality Nowhere: 30 or more numbers.",
    ] {
        let line = format!("ProviderAccount {namespace}/twilio {line}\n");
        assert!(blamed.error.contains(&line), "{blamed:?}");
    }
    assert_eq!(blamed.error.lines().count(), 4, "{blamed:?}");
    assert_eq!(world.asked("twilio search").await, before + 4);
    let refused =
        json!({"dialect": "telnyx", "operation": "search", "kind": "refused", "code": "10031"});
    world.emulator.fault(refused).await;
    let one = search(
        &world,
        plane,
        &["twilio", "telnyx", "--country=US", "--limit=1"],
    );
    world.emulator.clear_faults().await;
    assert_eq!(one.rows().len(), 2, "{one:?}");
    let told = format!(
        "No numbers found in ProviderAccount {namespace}/telnyx: telnyx offers nothing there: "
    );
    assert!(one.error.starts_with(&told), "{one:?}");
    assert_eq!(one.error.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_of_prices_or_too_little_on_sale_is_said() {
    let plane = ControlPlane::shared().await;
    let mut world = World::new("unpriced").await;
    world.kill_operator();
    let namespace = &world.namespace;
    let few = json!({"pricesUnknown": true, "onSale": 3});
    world.emulator.post("/switches", few).await;
    let own = ["twilio", "telnyx", "--country=US"];
    let table = search(&world, plane, &own);
    assert_eq!(table.rows()[1][6..], ["<unknown>"; 3]);
    assert_eq!(table.error, "");
    let yaml = search(&world, plane, &[&own, &["-oyaml"][..]].concat());
    let warned = ["twilio", "telnyx"].map(|account| {
        format!(
            "{account} shows 3 of the 10 numbers that were asked for in ProviderAccount {namespace}/{account}.\n\
             warning: the manifests for ProviderAccount {namespace}/{account} have no maxMonthlyCost: no price is known there. \
             Set one before you apply them.\n"
        )
    });
    assert_eq!(yaml.error, warned.concat());
    let yaml = yaml.worked();
    assert!(!yaml.contains("maxMonthlyCost"), "{yaml}");
    assert_eq!(tried(plane, &yaml), 6);
    let pinned = search(
        &world,
        plane,
        &[&own, &["-oname", "--pin", "--limit=3"][..]].concat(),
    );
    assert_eq!(pinned.error, "");
    world
        .emulator
        .post("/switches", json!({"pricesUnknown": false}))
        .await;
    let fault = json!({"dialect": "twilio", "operation": "pricing", "kind": "503"});
    world.emulator.fault(fault).await;
    let listless = search(&world, plane, &own);
    world.emulator.clear_faults().await;
    let rows = listless.rows();
    assert_eq!(
        (&rows[1][6], &rows[4][6]),
        (&"1".to_owned(), &"<unknown>".to_owned())
    );
    let told = format!(
        "What numbers cost for ProviderAccount {namespace}/twilio is not known: the price list"
    );
    assert!(listless.error.starts_with(&told), "{listless:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_cannot_be_made_says_why_in_one_line() {
    let plane = ControlPlane::shared().await;
    let mut world = World::new("unasked").await;
    world.kill_operator();
    let namespace = world.namespace.clone();
    let before = world.emulator.requests().await;
    for (flag, says) in [
        (
            "--country=us",
            "a country is two capital letters, such as US",
        ),
        (
            "--type=landline",
            "the types are local, mobile and tollFree",
        ),
        ("--area-code=1234567", "it is 1 to 6 digits"),
        ("--contains=5", "it is 2 to 10 digits"),
        ("--locality=", "it is one line of 1 to 64 characters"),
        ("--region=a\nb", "it is one line of 1 to 64 characters"),
        (
            "--capabilities=voice,pager",
            "the capabilities are voice, sms, mms and fax",
        ),
        ("--limit=0", "0 is not in 1..=100"),
        ("--limit=101", "101 is not in 1..=100"),
        ("--name-prefix=Sales", "it is 1 to 30 small letters"),
        ("--assistant=0", "0 is not in 1..="),
        ("--output=xml", "[possible values: wide, yaml, json, name]"),
    ] {
        let country = if flag.starts_with("--country") {
            "-oname"
        } else {
            "--country=US"
        };
        let Ran {
            code,
            output,
            error,
        } = search(&world, plane, &["twilio", country, flag]);
        assert_eq!((code, output.as_str()), (2, ""), "{flag}: {error}");
        assert_eq!(error.lines().count(), 1, "{flag}: {error}");
        assert!(
            error.starts_with("error: ") && error.contains(says),
            "{flag}: {error}"
        );
    }
    for arguments in [
        &["twilio"][..],
        &["--country=US"],
        &["twilio", "--country=US", "--pin"],
    ] {
        assert_eq!(search(&world, plane, arguments).code, 2, "{arguments:?}");
    }
    assert_eq!(world.emulator.requests().await, before, "nobody was asked");

    let unknown = search(&world, plane, &["twilio", "nosuch", "--country=US"]).failed();
    let wanted = format!("ProviderAccount {namespace}/nosuch does not exist.");
    assert!(unknown.starts_with(&wanted), "{unknown}");
    world.delete_secret("twilio").await;
    let wrong = json!({"accountSid": TWILIO_ACCOUNT, "authToken": "fake-secret"});
    world.secret("twilio", wrong).await;
    let refused = search(&world, plane, &["telnyx", "twilio", "--country=US"]).failed();
    assert!(
        refused.starts_with("twilio refuses the credential of ProviderAccount"),
        "{refused}"
    );
    assert!(!refused.contains("fake-secret"), "{refused}");
    let invalid =
        json!({"dialect": "telnyx", "operation": "search", "kind": "refused", "code": "10032"});
    world.emulator.fault(invalid).await;
    let wrong = search(&world, plane, &["telnyx", "--country=US"]).failed();
    let told = format!(
        "telnyx refuses to search for a local number in US for ProviderAccount {namespace}/telnyx: "
    );
    assert!(wrong.starts_with(&told), "{wrong}");
    world.emulator.clear_faults().await;
}
