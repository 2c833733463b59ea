//! docs/reference/deletion.md, cell by cell, on a real API server.

use std::time::Duration;

use phonenumber_operator::api::{PhoneNumber, condition};
use serde_json::{Value, json};
use test_support::world::{World, reason};

const EDITED: &str = "https://edited.example.com/";

/// The rows of the table: suspend, deletionProtection, deletionPolicy, not deleted, deleted if bought, deleted if adopted.
fn table() -> Vec<[String; 6]> {
    let text = include_str!("../../docs/reference/deletion.md");
    let (_, rest) = text.split_once("<!-- table -->").unwrap();
    let (table, _) = rest.split_once("<!-- end of table -->").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|line| {
        let cells: Vec<_> = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect();
        cells.try_into().unwrap()
    })
    .collect()
}

fn waits_for(number: &PhoneNumber, wanted: &str) -> bool {
    let conditions = &number.status.as_ref().unwrap().conditions;
    // A suspended number keeps its Ready; what it waits for is told by the other conditions.
    let mut told = conditions
        .iter()
        .filter(|found| [condition::RECONCILING, condition::STALLED].contains(&&*found.type_));
    reason(number) == wanted || told.any(|found| found.reason == wanted)
}

/// One number in one state.
struct Case {
    name: String,
    number: String,
    adopted: bool,
    spec: Value,
    kept: String,
    deleted: String,
}

/// Every row, for a number that was bought and for one that was adopted.
fn cases() -> Vec<Case> {
    let rows = table();
    assert_eq!(rows.len(), 12);
    let case = |at: usize, adopted: bool, row: &[String; 6]| {
        let [suspend, protection, policy, kept, bought, of_adopted] = row;
        let flag = |text: &str| json!(text == "true");
        let policy = if policy == "unset" {
            Value::Null
        } else {
            json!(policy)
        };
        Case {
            name: format!("n{at}-{adopted}"),
            number: format!("+1212555{}{at:03}", if adopted { 7 } else { 6 }),
            adopted,
            spec: json!({"suspend": flag(suspend), "deletionProtection": flag(protection), "deletionPolicy": policy}),
            kept: kept.clone(),
            deleted: if adopted {
                of_adopted.clone()
            } else {
                bought.clone()
            },
        }
    };
    let cases = rows.iter().enumerate();
    cases
        .flat_map(|(at, row)| [case(at, false, row), case(at, true, row)])
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_is_so() {
    let world = World::new("deletion").await;
    let cases = cases();
    for case in &cases {
        let mut spec = json!({});
        if case.adopted {
            world.bought_by_somebody_else("twilio", &case.number).await;
            spec = json!({"adoptionPolicy": "Adopt"});
        }
        world.create(&case.name, "twilio", &case.number, spec).await;
    }
    for case in &cases {
        let number = world.until_ready(&case.name).await;
        assert_eq!(number.status.unwrap().adopted, case.adopted);
        world.change(&case.name, case.spec.clone()).await;
        let generation = world.number(&case.name).await.metadata.generation;
        world
            .until(&case.name, "seen as it is now", |number| {
                number.status.as_ref().unwrap().observed_generation == generation
            })
            .await;
        let edit = json!({"voice_url": EDITED});
        world.emulator.edit(&case.number, edit).await;
    }
    // Several intervals, in which whatever is repaired is repaired.
    tokio::time::sleep(Duration::from_secs(4)).await;
    for case in &cases {
        let held = world.emulator.number(&case.number).await;
        let repaired = held["voice_url"] != EDITED;
        match case.kept.as_str() {
            "kept and repaired" => assert!(repaired, "{}", case.name),
            "kept, not repaired" => assert!(!repaired && !held.is_null(), "{}", case.name),
            other => panic!("{}: {other}", case.name),
        }
    }
    for case in &cases {
        world.delete(&case.name).await;
    }
    for case in &cases {
        match case.deleted.as_str() {
            "released, then the object goes" | "kept in the account; the object goes" => {
                world.until_gone(&case.name).await;
            }
            waits => {
                let (_, rest) = waits
                    .split_once('`')
                    .unwrap_or_else(|| panic!("{}: {waits}", case.name));
                let wanted = rest.trim_end_matches("`)");
                world
                    .until(&case.name, wanted, |number| waits_for(number, wanted))
                    .await;
            }
        }
        let releases = usize::from(case.deleted.starts_with("released"));
        assert_eq!(
            world.emulator.releases(&case.number).await,
            releases,
            "{}",
            case.name
        );
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    for case in &cases {
        let waits = case.deleted.starts_with("kept; the object waits");
        let there = world.numbers().get_opt(&case.name).await.unwrap().is_some();
        assert_eq!(there, waits, "{}", case.name);
        let held = !world.emulator.number(&case.number).await.is_null();
        assert_eq!(held, !case.deleted.starts_with("released"), "{}", case.name);
    }
}
