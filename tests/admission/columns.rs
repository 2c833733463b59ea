//! What people find and see in a table: columns and selectors.

use serde_json::json;

use crate::cluster::Cluster;
use crate::manifests::{Kind, least, with_spec};

/// The lines of a table as cells. A cell may be empty, hence the columns begin where the words of the header do. Ages pass
/// while the test runs: a dash stands for them.
fn table(printed: &str) -> Vec<Vec<String>> {
    let header = printed.lines().next().unwrap();
    let starts: Vec<usize> = header
        .char_indices()
        .filter(|(at, letter)| *letter != ' ' && (*at == 0 || header.as_bytes()[at - 1] == b' '))
        .map(|(at, _)| at)
        .collect();
    let cells = |line: &str| -> Vec<String> {
        let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
        let cells = starts.iter().zip(ends);
        cells
            .map(|(start, end)| line.get(*start..end.min(line.len())).unwrap_or("").trim())
            .map(str::to_owned)
            .collect()
    };
    let mut lines: Vec<_> = printed.lines().map(cells).collect();
    let Some(age) = lines[0].iter().position(|name| name == "AGE") else {
        return lines;
    };
    for line in lines.iter_mut().skip(1) {
        assert!(
            line[age].starts_with(|first: char| first.is_ascii_digit()),
            "{line:?}"
        );
        line[age] = "-".to_owned();
    }
    lines
}

/// A number of each provider, the second with all that columns show.
async fn two_numbers(cluster: &Cluster) {
    let one = least(Kind::PhoneNumber, "twilio", "one");
    cluster.create(&one).await.unwrap();
    let settings = json!({
        "phoneNumber": "+4930123456",
        "assistantId": 101,
        "deletionPolicy": "Retain",
    });
    let two = with_spec(least(Kind::PhoneNumber, "telnyx", "two"), &settings);
    cluster.create(&two).await.unwrap();
    let status = json!({"status": {
        "phoneNumber": "+4930123456",
        "id": "1293384261075731461",
        "cost": {"monthly": "1.15", "upfront": "0", "currency": "USD", "display": "1.15 USD"},
        "accountRef": {"kind": "ClusterProviderAccount", "name": "shared"},
        "onDeletion": "Retain",
        "orderId": "order-1",
        "accountId": "organization-1",
        "conditions": [{
            "type": "Ready",
            "status": "True",
            "reason": "Ready",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    }});
    let patch = status.to_string();
    let arguments = [
        "patch",
        "pn",
        "two",
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ];
    cluster.kubectl(&arguments).unwrap();
}

#[tokio::test]
async fn numbers_are_listed_with_what_people_ask_first() {
    let cluster = Cluster::new("columns").await;
    two_numbers(&cluster).await;

    let everywhere = table(&cluster.kubectl(&["get", "phonenumbers", "-A"]).unwrap());
    assert_eq!(
        everywhere[0].join(" "),
        "NAMESPACE NAME NUMBER PROVIDER ASSISTANT READY REASON MESSAGES SUSPEND DELETION MONTHLY AGE"
    );
    assert_eq!(
        table(&cluster.kubectl(&["get", "phonenumbers"]).unwrap()),
        [
            [
                "NAME",
                "NUMBER",
                "PROVIDER",
                "ASSISTANT",
                "READY",
                "REASON",
                "MESSAGES",
                "SUSPEND",
                "DELETION",
                "MONTHLY",
                "AGE"
            ],
            [
                "one", "", "twilio", "", "Unknown", "Pending", "", "false", "", "", "-"
            ],
            [
                "two",
                "+4930123456",
                "telnyx",
                "101",
                "True",
                "Ready",
                "",
                "false",
                "Retain",
                "1.15 USD",
                "-"
            ],
        ]
    );
    let wide = table(
        &cluster
            .kubectl(&["get", "phonenumbers", "-o", "wide"])
            .unwrap(),
    );
    assert_eq!(
        wide[0].join(" "),
        "NAME NUMBER PROVIDER ASSISTANT READY REASON MESSAGES SUSPEND DELETION MONTHLY AGE MESSAGE ID ORDER SETUP CURRENCY ACCOUNT ACCOUNT-ID"
    );
    assert_eq!(
        wide[1][11..],
        ["Waiting for the operator.", "", "", "", "", "", ""]
    );
    assert_eq!(
        wide[2][12..],
        [
            "1293384261075731461",
            "order-1",
            "0",
            "USD",
            "shared",
            "organization-1"
        ]
    );
}

#[tokio::test]
async fn accounts_are_listed_with_what_people_ask_first() {
    let cluster = Cluster::new("account-columns").await;
    let name = cluster.namespace.clone();
    for kind in Kind::ACCOUNTS {
        cluster.create(&least(kind, "twilio", &name)).await.unwrap();
        let patch =
            json!({"status": {"accountId": "AC1", "managed": 3, "unmanaged": 2, "orphaned": 1,
            "monthlyCost": {"amount": "3.45", "currency": "USD", "display": "3.45 USD"},
            "balance": {"amount": "25.5", "currency": "USD", "display": "25.5 USD"}}})
            .to_string();
        let arguments = ["--subresource=status", "--type=merge", "-p", &patch];
        let arguments = [&["patch", kind.plural(), &name][..], &arguments].concat();
        cluster.kubectl(&arguments).unwrap();
        let header =
            "NAME READY REASON PROVIDER ACCOUNT-ID MANAGED UNMANAGED ORPHANED MONTHLY BALANCE AGE";
        let cells = [
            &name, "Unknown", "Pending", "twilio", "AC1", "3", "2", "1", "3.45 USD", "25.5 USD",
            "-",
        ];
        let printed = table(&cluster.kubectl(&["get", kind.plural(), &name]).unwrap());
        assert_eq!(printed[0].join(" "), header);
        assert_eq!(printed[1], cells);
        let wide = table(
            &cluster
                .kubectl(&["get", kind.plural(), &name, "-o", "wide"])
                .unwrap(),
        );
        assert_eq!(wide[0].join(" "), format!("{header} MESSAGE"));
        assert_eq!(wide[1][11..], ["Waiting for the operator."]);
    }
}

#[tokio::test]
async fn numbers_are_found_by_provider_number_and_assistant() {
    let cluster = Cluster::new("selectors").await;
    two_numbers(&cluster).await;
    for (selector, found) in [
        (
            "spec.provider=twilio",
            "phonenumber.telephony.burki.dev/one\n",
        ),
        (
            "spec.provider!=twilio",
            "phonenumber.telephony.burki.dev/two\n",
        ),
        (
            "spec.phoneNumber=+4930123456",
            "phonenumber.telephony.burki.dev/two\n",
        ),
        (
            "spec.assistantId=101",
            "phonenumber.telephony.burki.dev/two\n",
        ),
        ("spec.assistantId=", "phonenumber.telephony.burki.dev/one\n"),
        ("spec.assistantId=102", ""),
        (
            "status.phoneNumber=+4930123456",
            "phonenumber.telephony.burki.dev/two\n",
        ),
        (
            "status.id=1293384261075731461",
            "phonenumber.telephony.burki.dev/two\n",
        ),
        (
            "status.accountId=organization-1",
            "phonenumber.telephony.burki.dev/two\n",
        ),
    ] {
        let arguments = [
            "get",
            "phonenumbers",
            "-o",
            "name",
            "--field-selector",
            selector,
        ];
        assert_eq!(cluster.kubectl(&arguments).unwrap(), found, "{selector}");
    }
    let arguments = [
        "get",
        "phonenumbers",
        "--field-selector",
        "spec.friendlyName=x",
    ];
    let message = cluster.kubectl(&arguments).unwrap_err();
    assert!(
        message.contains("field label not supported: spec.friendlyName"),
        "{message}"
    );
}
