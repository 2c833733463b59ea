//! What a process has used, as Linux counts it.

use std::fs;
use std::time::Duration;

/// The clock ticks of a second in /proc, which Linux shows to programs as 100 on every architecture.
const TICKS: f64 = 100.0;

/// How long a process must have done next to nothing to count as quiet.
const QUIET_FOR: Duration = Duration::from_secs(2);

/// Longer than anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// The processor seconds, in user and in system mode, that a process has used.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name in parentheses may hold anything.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / TICKS
}

/// The most memory that a process has had resident, in MiB.
pub fn peak_memory(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kib = line.split_ascii_whitespace().nth(1).unwrap();
    kib.parse::<f64>().unwrap() / 1024.0
}

/// Waits until a process does next to nothing.
pub async fn until_quiet(pid: u32) {
    let begun = tokio::time::Instant::now();
    loop {
        let before = cpu_seconds(pid);
        tokio::time::sleep(QUIET_FOR).await;
        if cpu_seconds(pid) - before < 0.02 * QUIET_FOR.as_secs_f64() || begun.elapsed() > PATIENCE
        {
            return;
        }
    }
}
