//! Who may do what: the table of docs/how-to/access.md, asked of the API server cell by cell.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use test_support::control_plane::ControlPlane;
use test_support::kubectl::{kubectl, try_kubectl, try_kubectl_with};
use test_support::{helm, root};

use crate::office::{apply, install, number, until};

const ROLES: [&str; 6] = [
    "view",
    "edit",
    "admin",
    "phonenumber-buyer",
    "phonenumber-releaser",
    "cluster-admin",
];

/// What a person wants to do, and the rights that it takes.
const DEEDS: [(&str, &[(&str, &str)]); 9] = [
    (
        "see PhoneNumbers and accounts",
        &[
            ("list", "phonenumbers"),
            ("watch", "phonenumbers"),
            ("get", "provideraccounts"),
        ],
    ),
    (
        "**buy**: create a PhoneNumber",
        &[("create", "phonenumbers")],
    ),
    (
        "change a PhoneNumber: assistant, webhooks, protection, what deletion does",
        &[("update", "phonenumbers"), ("patch", "phonenumbers")],
    ),
    (
        "**release**: delete a PhoneNumber, or all of a namespace",
        &[
            ("delete", "phonenumbers"),
            ("deletecollection", "phonenumbers"),
        ],
    ),
    (
        "declare, change and delete a ProviderAccount: who pays, where calls go",
        &[
            ("create", "provideraccounts"),
            ("patch", "provideraccounts"),
            ("delete", "provideraccounts"),
        ],
    ),
    (
        "see ClusterProviderAccounts",
        &[("get", "clusterprovideraccounts")],
    ),
    (
        "declare a ClusterProviderAccount",
        &[("create", "clusterprovideraccounts")],
    ),
    (
        "read the Secrets with the credentials (Kubernetes' own rule)",
        &[("get", "secrets")],
    ),
    (
        "write a status, which is the operator's",
        &[
            ("update", "phonenumbers/status"),
            ("patch", "provideraccounts/status"),
        ],
    ),
];

const NAMESPACE: &str = "people";

async fn may(client: &Client, role: &str, verb: &str, resource: &str) -> bool {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    let group = if resource == "secrets" {
        ""
    } else {
        "telephony.burki.dev"
    };
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        namespace: Some(NAMESPACE.to_owned()).filter(|_| resource != "clusterprovideraccounts"),
        ..ResourceAttributes::default()
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("user-{role}")),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews = Api::<SubjectAccessReview>::all(client.clone());
    let answer = reviews
        .create(&PostParams::default(), &review)
        .await
        .unwrap();
    answer.status.unwrap().allowed
}

/// A person for each role, who has it in one namespace; a cluster-admin has it everywhere.
fn employ(plane: &ControlPlane) {
    apply(
        plane,
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
    );
    for role in ROLES {
        let binding = if role == "cluster-admin" {
            "clusterrolebinding"
        } else {
            "rolebinding"
        };
        let (of, user) = (
            format!("--clusterrole={role}"),
            format!("--user=user-{role}"),
        );
        kubectl(
            plane,
            &[
                "create",
                binding,
                &format!("of-{role}"),
                &of,
                &user,
                "-n",
                NAMESPACE,
            ],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_do_what_is_as_the_table_says() {
    let plane = ControlPlane::start().await.unwrap();
    plane.start_controller_manager().await.unwrap();
    install(&plane, &[]);
    employ(&plane);
    let client = plane.admin_client().await.unwrap();
    until(
        "the roles view, edit and admin are put together",
        async || {
            may(&client, "view", "list", "phonenumbers").await
                && may(&client, "edit", "patch", "phonenumbers").await
                && may(&client, "admin", "delete", "provideraccounts").await
        },
    )
    .await;

    let mut table = format!(
        "| | {} |\n|---|{}\n",
        ROLES.map(|role| format!("`{role}`")).join(" | "),
        "---|".repeat(ROLES.len())
    );
    for (deed, rights) in DEEDS {
        let mut cells = Vec::new();
        for role in ROLES {
            let mut allowed = Vec::new();
            for (verb, resource) in rights {
                allowed.push(may(&client, role, verb, resource).await);
            }
            assert!(
                allowed.iter().all(|it| *it == allowed[0]),
                "{role} {deed}: {allowed:?} of {rights:?}"
            );
            cells.push(if allowed[0] { "yes" } else { "-" });
        }
        table.push_str(&format!("| {deed} | {} |\n", cells.join(" | ")));
    }
    let path = "docs/how-to/access.md";
    let page = std::fs::read_to_string(root().join(path)).unwrap();
    let (head, rest) = page.split_once("<!-- roles -->\n").unwrap();
    let (_, tail) = rest.split_once("<!-- end of roles -->").unwrap();
    helm::compare(
        path,
        &format!("{head}<!-- roles -->\n{table}<!-- end of roles -->{tail}"),
    );

    // Asked in earnest.
    let wanted = number(
        NAMESPACE,
        "nyc",
        json!({"provider": "twilio", "phoneNumber": "+12125551234"}),
    )
    .to_string();
    let by = |role: &str| format!("--as=user-{role}");
    for role in ROLES {
        let created = try_kubectl_with(&plane, &["create", "-f", "-", &by(role)], &wanted);
        let may_buy = ["phonenumber-buyer", "cluster-admin"].contains(&role);
        assert_eq!(created.is_ok(), may_buy, "{role}: {created:?}");
        if may_buy {
            let delete = |role: &str| {
                try_kubectl(&plane, &["delete", "pn", "nyc", "-n", NAMESPACE, &by(role)])
            };
            assert!(
                delete("phonenumber-buyer")
                    .unwrap_err()
                    .contains("forbidden")
            );
            delete("phonenumber-releaser").unwrap();
        }
    }
    // Whoever runs a namespace does not make himself a buyer.
    for role in ["phonenumber-buyer", "phonenumber-releaser"] {
        let of = format!("--clusterrole={role}");
        let bind = [
            "create",
            "rolebinding",
            "own",
            &of,
            "--user=user-admin",
            "-n",
            NAMESPACE,
            "--as=user-admin",
        ];
        let error = try_kubectl(&plane, &bind).unwrap_err();
        assert!(
            error.contains("attempting to grant RBAC permissions not currently held"),
            "{error}"
        );
    }
}
