//! docs/deletion.md, cell by cell, on a real API server.

use std::time::Duration;

use phonenumber_operator::api::{PhoneNumber, condition};
use serde_json::{Value, json};

use crate::world::{World, reason};

const EDITED: &str = "https://edited.example.com/";

/// The rows of the table: suspend, deletionProtection, deletionPolicy, not deleted, deleted.
fn table() -> Vec<[String; 5]> {
    let text = include_str!("../../docs/deletion.md");
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
    let told = conditions
        .iter()
        .find(|found| found.type_ == condition::RECONCILING);
    reason(number) == wanted || told.is_some_and(|found| found.reason == wanted)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_is_so() {
    let world = World::new("deletion").await;
    let rows = table();
    assert_eq!(rows.len(), 12);
    for (at, _) in rows.iter().enumerate() {
        world
            .create(
                &format!("n{at}"),
                "twilio",
                &format!("+12125556{at:03}"),
                json!({}),
            )
            .await;
    }
    for (at, [suspend, protection, policy, ..]) in rows.iter().enumerate() {
        let name = format!("n{at}");
        world.until_ready(&name).await;
        let policy = if policy == "unset" {
            Value::Null
        } else {
            json!(policy)
        };
        let flag = |text: &str| json!(text == "true");
        let spec = json!({"suspend": flag(suspend), "deletionProtection": flag(protection), "deletionPolicy": policy});
        world.change(&name, spec).await;
        let generation = world.number(&name).await.metadata.generation;
        world
            .until(&name, "seen as it is now", |number| {
                number.status.as_ref().unwrap().observed_generation == generation
            })
            .await;
        let number = format!("+12125556{at:03}");
        world
            .emulator
            .edit(&number, json!({"voice_url": EDITED}))
            .await;
    }
    // Several intervals, in which whatever is repaired is repaired.
    tokio::time::sleep(Duration::from_secs(4)).await;
    for (at, [.., kept, _]) in rows.iter().enumerate() {
        let held = world.emulator.number(&format!("+12125556{at:03}")).await;
        let repaired = held["voice_url"] != EDITED;
        match kept.as_str() {
            "kept and repaired" => assert!(repaired, "row {at}"),
            "kept, not repaired" => assert!(!repaired && !held.is_null(), "row {at}"),
            other => panic!("row {at}: {other}"),
        }
    }
    for at in 0..rows.len() {
        world.delete(&format!("n{at}")).await;
    }
    for (at, [.., deleted]) in rows.iter().enumerate() {
        let (name, number) = (format!("n{at}"), format!("+12125556{at:03}"));
        match deleted.as_str() {
            "released, then the object goes" | "kept in the account; the object goes" => {
                world.until_gone(&name).await
            }
            waits => {
                let (_, rest) = waits
                    .split_once('`')
                    .unwrap_or_else(|| panic!("row {at}: {waits}"));
                let wanted = rest.trim_end_matches("`)");
                world
                    .until(&name, wanted, |number| waits_for(number, wanted))
                    .await;
            }
        }
        let releases = usize::from(deleted.starts_with("released"));
        assert_eq!(world.emulator.releases(&number).await, releases, "row {at}");
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    for (at, [.., deleted]) in rows.iter().enumerate() {
        let waits = deleted.starts_with("kept; the object waits");
        let there = world
            .numbers()
            .get_opt(&format!("n{at}"))
            .await
            .unwrap()
            .is_some();
        assert_eq!(there, waits, "row {at}");
        let held = !world
            .emulator
            .number(&format!("+12125556{at:03}"))
            .await
            .is_null();
        assert_eq!(held, !deleted.starts_with("released"), "row {at}");
    }
}
