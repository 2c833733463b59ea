//! What the operator costs: `make bench`, or `make bench N=10000`. A real kube-apiserver, the operator, and an emulated phone
//! company that takes 20 ms for every request. `PART=peer` runs only what is compared with a plain operator, `PART=operator` only
//! the rest.
//!
//! Prints one table. Times, processor and memory depend on the machine; the exit code is 0 if all counts are within their
//! budgets. Where the operator logged to is said when one is not.

#![cfg(test)]

mod audit;
mod beside;
mod floor;
mod parts;
mod process;
mod table;
mod witness;
mod world;

use std::process::ExitCode;

use parts::Bench;

#[tokio::main]
async fn main() -> ExitCode {
    let text = std::env::var("N").unwrap_or_default();
    let count: usize = match text.as_str() {
        "" => 1000,
        text => text.parse().expect("N is a number"),
    };
    assert!(count >= 100, "N is 100 or more");
    println!("Starting etcd, kube-apiserver and the emulated phone company ...");
    let mut bench = Bench::start(count).await;
    let part = std::env::var("PART").unwrap_or_default();
    assert!(
        ["", "operator", "peer"].contains(&part.as_str()),
        "PART is operator or peer"
    );
    if part != "peer" {
        bench.purchases_of_what_stands().await;
        bench.steady_state().await;
        bench.drift().await;
        bench.restart().await;
        bench.deletion().await;
        bench.purchases_of_what_arrives().await;
        bench.lone_purchases_at_twilio().await;
        bench.purchases_at_telnyx().await;
        bench.lone_purchases_at_telnyx().await;
        bench.writes_of_purchases_alone().await;
    }
    if part != "operator" {
        bench.beside_a_peer().await;
    }
    end(&bench)
}

fn end(bench: &Bench) -> ExitCode {
    bench.table.print();
    if bench.table.passes() {
        println!("\nEvery count is within its budget.");
        ExitCode::SUCCESS
    } else {
        let log = bench.kept_log();
        println!(
            "\nNot every count is within its budget. The operator's log: {}",
            log.display()
        );
        ExitCode::FAILURE
    }
}
