use super::*;
use crate::plan::manifests::Kind;
use crate::plan::structure::{Patterns, faults};
use phonenumber_api::{AccountKey, AccountKind};
use serde_json::Value;
use std::path::Path;
use telephony::number::Owner;

fn verdict(action: Action, name: &str) -> Verdict {
    let owner = Owner {
        namespace: "support".into(),
        name: name.into(),
    };
    Verdict {
        wanted: "+12125551234".into(),
        account: Some(AccountKey {
            kind: AccountKind::ProviderAccount,
            namespace: Some("support".into()),
            name: "twilio".into(),
        }),
        price: Price::read("1.15", "0", "USD"),
        ..Verdict::new(Kind::PhoneNumber, owner, action)
    }
}

fn report(verdicts: Vec<Verdict>) -> Report {
    Report::new(verdicts, |_| Vec::new(), Vec::new(), false)
}

#[test]
fn a_table_has_what_is_refused_first_and_shows_no_price_where_there_is_none() {
    let mut refused = verdict(Action::Refuse, "z");
    refused.reason = Some("LimitReached".into());
    refused.why = "the account\u{1b}[2J is full".into();
    refused.price = None;
    let report = report(vec![
        verdict(Action::Keep, "k"),
        verdict(Action::Buy, "b"),
        refused,
    ]);
    let wanted = "\
ACTION   OBJECT      NUMBER         ACCOUNT   MONTHLY   SETUP   CURRENCY   WHY
refuse   support/z   +12125551234   twilio    -         -       -          LimitReached: the account [2J is full
buy      support/b   +12125551234   twilio    1.15      0       USD        <none>
keep     support/k   +12125551234   twilio    1.15      0       USD        <none>
";
    assert_eq!(report.table(false, Colours::Off), wanted);
    assert_eq!(report.code(), 3);
}

#[test]
fn markdown_shows_texts_as_they_are_and_counts_what_stays() {
    let mut refused = verdict(Action::Refuse, "z");
    refused.reason = Some("Invalid".into());
    refused.why = "a | b\n<img src=x> @team `c` [d](e) *f*".into();
    refused.price = None;
    let report = Report::new(
        vec![
            verdict(Action::Keep, "k"),
            verdict(Action::Buy, "b"),
            refused,
        ],
        |_| vec!["too much".into()],
        vec!["old | prices".into()],
        false,
    );
    let wanted = r"### Phone numbers

**1 refused, 1 bought, 1 kept: +1.15 USD a month.**

**Over a maximum:** too much

| ACTION | OBJECT | NUMBER | ACCOUNT | MONTHLY | SETUP | CURRENCY | WHY |
| --- | --- | --- | --- | --- | --- | --- | --- |
| refuse | support/z | +12125551234 | twilio | - | - | - | Invalid: a \| b &lt;img src=x&gt; (at)team \`c\` \[d\](e) \*f\* |
| buy | support/b | +12125551234 | twilio | 1.15 | 0 | USD |  |

- old \| prices
";
    assert_eq!(report.markdown(), wanted);
}

#[test]
fn a_long_table_is_cut_in_markdown() {
    let verdicts = (0..MOST_ROWS + 3).map(|at| verdict(Action::Buy, &at.to_string()));
    let text = report(verdicts.collect()).markdown();
    assert_eq!(text.matches("| buy |").count(), MOST_ROWS);
    assert!(text.ends_with("\n3 more are not shown.\n"));
}

#[test]
fn nothing_to_do_is_told_in_a_sentence() {
    assert_eq!(report(vec![]).sentence(), "No PhoneNumbers.");
    assert_eq!(report(vec![]).table(false, Colours::Off), "");
    let kept = report(vec![verdict(Action::Keep, "k")]);
    assert_eq!(kept.sentence(), "1 kept: nothing to pay.");
    assert_eq!(kept.code(), 0);
}

#[test]
fn the_schema_of_a_plan_is_that_of_its_output() {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let schema = settings
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Document<'_>>();
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/plan.schema.json");
    if std::env::var_os("GENERATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept == text, "{} is stale: make generate", file.display());

    for action in Action::ALL {
        assert!(text.contains(&format!("\"const\": \"{}\"", action.word())));
    }
    let schema = serde_json::to_value(schema).unwrap();
    let patterns = Patterns::of(&schema).unwrap();
    let mut whole = verdict(Action::Buy, "b");
    whole.reason = Some("LimitReached".into());
    whole.changes = vec!["spec.suspend".into()];
    whole.on_deletion = Some("Release");
    whole.notes = vec!["note".into()];
    let mut bare = verdict(Action::Keep, "k");
    (bare.account, bare.price) = (None, None);
    let text = report(vec![whole, bare]).json().unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(faults(&json, &schema, "", &patterns), Vec::<String>::new());
    json["objects"][0]["name"] = 7.into();
    json["exitCode"] = Value::Null;
    json.as_object_mut().unwrap().remove("totals");
    assert_eq!(faults(&json, &schema, "", &patterns).len(), 3);
}
