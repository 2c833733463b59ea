use super::*;
use phonenumber_api::PhoneNumberSpec;
use telephony::number::{Installation, Origin, Owner};

fn takeover(number: &str, text: &str) -> Takeover {
    Takeover {
        number: number.parse().unwrap(),
        marked_text: text.to_owned(),
    }
}

fn at(provider: Provider) -> Destination {
    Destination {
        namespace: "support".into(),
        provider,
        kind: AccountKind::ProviderAccount,
        account: provider.to_string(),
    }
}

fn mark() -> Mark {
    let owner = Owner {
        namespace: "support".into(),
        name: "nyc".into(),
    };
    Mark::new(Origin::Bought, &Installation::new("here"), &owner)
}

/// Texts that somebody may have written at a provider.
fn hostile() -> Vec<String> {
    let plain = [
        "",
        " ",
        "yes",
        "No",
        "null",
        "~",
        "true",
        "1e3",
        "0x1F",
        "12:30:45",
        "2020-01-01",
        "007",
        "=",
        "<<",
        "---",
        "...",
        "- a",
        "? a",
        "a: b",
        "a #b",
        "#a",
        "&a",
        "*a",
        "!!int 1",
        "%TAG",
        "@a",
        "`a`",
        "'",
        "\"",
        "\\",
        "{a}",
        "[a]",
        "|",
        ">",
        "a\nb",
        "a\r\nb",
        "\n---\nkind: Secret",
        "\t",
        "\u{0}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{fffe}",
        "\u{202e}evil",
        "\u{1b}[31m",
        "pn1.",
        "pa1.x",
        "pn1.aaaaaa.bbbbbbbbbbbbX",
        "pn1.AAAAAA.BBBBBBBBBBBBB",
        "p[n1.",
        "日本語",
        "🦀🦀🦀",
        "🦀 crab",
        "--",
        "-a-",
        ".a.",
        "A",
        "(212) 555-1234",
        "+1 212 555 1234",
        "Straße 7",
        "$(reboot)",
        "{{ .Values.x }}",
    ];
    let mut texts: Vec<String> = plain.iter().map(|text| (*text).to_owned()).collect();
    for long in ["a", "é", "🦀", "- ", "[", "pn1."] {
        texts.push(long.repeat(100));
        texts.push(format!("x{}", long.repeat(100)));
    }
    texts
}

/// What RFC 1123 calls a label.
fn is_label(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (1..=63).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && edge(name.chars().next())
        && edge(name.chars().last())
}

#[test]
fn names_come_from_the_name_at_the_provider_and_from_the_number_where_that_is_not_enough() {
    type Row = (
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
        &'static [&'static str],
    );
    let table: [Row; 7] = [
        (&[("+12125551234", "NYC Support")], &[], &["nyc-support"]),
        (
            &[("+12125551234", "(212) 555-1234")],
            &[],
            &["number-12125551234"],
        ),
        (&[("+12125551234", "日本語")], &[], &["number-12125551234"]),
        (
            &[("+12125551234", "Support"), ("+12125551235", "support!")],
            &[],
            &["support-12125551234", "support-12125551235"],
        ),
        (
            &[("+12125551234", "Support")],
            &["support"],
            &["support-12125551234"],
        ),
        (
            &[
                ("+12125551234", "Support"),
                ("+12125551235", "Support"),
                ("+12125551236", "Support 12125551234"),
            ],
            &[],
            &[
                "support-12125551234",
                "support-12125551235",
                "support-12125551234-12125551236",
            ],
        ),
        (
            &[("+12125551234", "")],
            &["number-12125551234", "number-12125551234-2"],
            &["number-12125551234-3"],
        ),
    ];
    for (found, taken, wanted) in table {
        let found: Vec<_> = found
            .iter()
            .map(|(number, text)| takeover(number, text))
            .collect();
        let taken = taken.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(names(&found, Provider::Twilio, &taken), wanted);
    }
}

#[test]
fn every_text_gives_a_name_that_kubernetes_accepts_and_that_nothing_else_has() {
    for provider in [Provider::Twilio, Provider::Telnyx] {
        let texts = hostile();
        let found: Vec<_> = (0..3)
            .flat_map(|_| &texts)
            .enumerate()
            .map(|(at, text)| takeover(&format!("+49151{at:09}"), text))
            .collect();
        let mut taken = HashSet::new();
        for _ in 0..3 {
            for name in names(&found, provider, &taken) {
                assert!(is_label(&name), "{name}");
                assert!(taken.insert(name.clone()), "{name} is taken");
            }
        }
        assert_eq!(taken.len(), 3 * found.len());
    }
}

/// The rules of the custom resource definition for `spec.friendlyName`.
fn is_admitted(name: &str, provider: Provider) -> bool {
    (1..=64).contains(&name.chars().count())
        && !name.contains(['[', ']', '\r', '\n'])
        && !name.contains("pn1.")
        && !name.contains("pa1.")
        && (provider == Provider::Telnyx || name.len() <= 36)
}

#[test]
fn a_manifest_says_nothing_that_admission_refuses_and_survives_as_yaml() {
    for provider in [Provider::Twilio, Provider::Telnyx] {
        for text in hostile() {
            let manifest = manifest(&takeover("+12125551234", &text), "x", &at(provider));
            let spec: PhoneNumberSpec = serde_json::from_value(manifest["spec"].clone()).unwrap();
            assert_eq!(spec.phone_number.as_deref(), Some("+12125551234"));
            assert_eq!(spec.adoption_policy, AdoptionPolicy::Adopt);
            assert!(spec.twilio.is_none() && spec.telnyx.is_none() && spec.account_ref.is_none());
            if let Some(name) = &spec.friendly_name {
                assert!(is_admitted(name, provider), "{text:?} became {name:?}");
                assert!(!name.chars().any(is_hidden), "{name:?}");
            }
            let text = yaml(std::slice::from_ref(&manifest)).unwrap();
            assert_eq!(text.matches("---\n").count(), 1, "{text}");
            let read: Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(read, manifest, "{text}");
        }
    }
}

#[test]
fn a_name_at_the_provider_is_kept_as_far_as_it_may_be() {
    let marked = mark().with_name(Provider::Twilio, "nyc-support");
    let twilio = Provider::Twilio;
    for (provider, text, wanted) in [
        (twilio, "NYC Support", Some("NYC Support")),
        (twilio, "(212) 555-1234", Some("(212) 555-1234")),
        (twilio, "[old] line\n2", Some("(old) line 2")),
        (twilio, "see pn1.docs", Some("see pn1-docs")),
        (twilio, "ééééééééééééééééééé", Some("éééééééééééééééééé")),
        (twilio, "\u{0}", None),
        (twilio, &marked, Some("nyc-support")),
        (Provider::Telnyx, "Cost centre 7", Some("Cost centre 7")),
        (Provider::Telnyx, &format!("{}.4f2a", mark()), None),
    ] {
        let name = friendly_name(&takeover("+12125551234", text), provider);
        assert_eq!(name.as_deref(), wanted, "{text:?}");
    }
}

#[test]
fn an_account_is_named_unless_it_is_the_default() {
    use AccountKind::{ClusterProviderAccount, ProviderAccount};
    for (kind, account, wanted) in [
        (ProviderAccount, "telnyx", Value::Null),
        (
            ProviderAccount,
            "eu",
            json!({"kind": "ProviderAccount", "name": "eu"}),
        ),
        (
            ClusterProviderAccount,
            "telnyx",
            json!({"kind": "ClusterProviderAccount", "name": "telnyx"}),
        ),
    ] {
        let to = Destination {
            kind,
            account: account.to_owned(),
            ..at(Provider::Telnyx)
        };
        let manifest = manifest(&takeover("+12125551234", ""), "x", &to);
        assert_eq!(manifest["spec"]["accountRef"], wanted);
        assert_eq!(
            manifest["metadata"],
            json!({"name": "x", "namespace": "support"})
        );
    }
}

#[test]
fn manifests_are_documents_for_people_and_a_list_for_programs() {
    let manifests = [
        manifest(
            &takeover("+12125551234", "NYC: Support"),
            "nyc",
            &at(Provider::Twilio),
        ),
        manifest(
            &takeover("+12125551235", ""),
            "number-12125551235",
            &at(Provider::Twilio),
        ),
    ];
    let wanted = "\
---
apiVersion: telephony.burki.dev/v1alpha1
kind: PhoneNumber
metadata:
  name: nyc
  namespace: support
spec:
  adoptionPolicy: Adopt
  friendlyName: \"NYC: Support\"
  phoneNumber: \"+12125551234\"
  provider: twilio
---
apiVersion: telephony.burki.dev/v1alpha1
kind: PhoneNumber
metadata:
  name: number-12125551235
  namespace: support
spec:
  adoptionPolicy: Adopt
  phoneNumber: \"+12125551235\"
  provider: twilio
";
    assert_eq!(yaml(&manifests).unwrap(), wanted);
    assert_eq!(yaml(&[]).unwrap(), "");
    let read: Value = serde_json::from_str(&list(&manifests).unwrap()).unwrap();
    assert_eq!(read["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        resource_names(&manifests).unwrap(),
        "phonenumber.telephony.burki.dev/nyc\nphonenumber.telephony.burki.dev/number-12125551235\n"
    );
}

#[test]
fn no_manifest_has_the_name_of_kustomizes_own_file() {
    let found = [
        takeover("+12125550100", "Kustomization"),
        takeover("+12125550101", "nyc"),
    ];
    let names = names(&found, Provider::Twilio, &HashSet::new());
    assert_eq!(names, ["kustomization-12125550100", "nyc"]);
}
