//! What was asked of the API server, from its audit log.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use test_support::control_plane::Options;
use test_support::kubectl::OPERATOR_USER;

/// Reads are not counted, and not written: they would slow the API server down.
pub fn options(folder: &Path) -> Options {
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "verbs": ["get", "list", "watch"]},
            {"level": "Metadata", "users": [OPERATOR_USER]},
            {"level": "None"},
        ],
    });
    let file = folder.join("policy.json");
    std::fs::write(&file, policy.to_string()).unwrap();
    Options {
        audit_log: Some(log(folder)),
        api_server_flags: vec![
            format!("--audit-policy-file={}", file.display()),
            // It is never rotated, whatever is written.
            "--audit-log-maxsize=100000".into(),
        ],
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("audit.log")
}

/// The log, read from where it was left.
pub struct Audit {
    lines: BufReader<File>,
    position: u64,
}

/// What the operator wrote, in requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Writes {
    /// To PhoneNumbers.
    pub numbers: usize,
    /// To PhoneNumbers, and refused: somebody else was first.
    pub conflicts: usize,
    /// To accounts of both kinds.
    pub accounts: usize,
    /// Events.
    pub events: usize,
    /// All else.
    pub other: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    object_ref: Option<Object>,
    response_status: Option<Answer>,
}

#[derive(Deserialize)]
struct Object {
    resource: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    code: Option<u16>,
}

impl Audit {
    pub fn open(folder: &Path) -> Self {
        Self {
            lines: BufReader::new(File::open(log(folder)).expect("the API server keeps a log")),
            position: 0,
        }
    }

    /// What was written since the last call, except to what is called `name`.
    pub fn writes_except(&mut self, name: &str) -> Writes {
        let mut writes = Writes::default();
        self.lines.seek(SeekFrom::Start(self.position)).unwrap();
        let mut text = String::new();
        loop {
            text.clear();
            let length = self.lines.read_line(&mut text).unwrap();
            if !text.ends_with('\n') {
                return writes;
            }
            self.position += length as u64;
            let line: Line = serde_json::from_str(&text).unwrap();
            let object = line.object_ref.as_ref();
            if object.and_then(|object| object.name.as_deref()) != Some(name) {
                writes.add(&line);
            }
        }
    }
}

impl Writes {
    fn add(&mut self, line: &Line) {
        let resource = line
            .object_ref
            .as_ref()
            .and_then(|object| object.resource.as_deref());
        let code = line.response_status.as_ref().and_then(|answer| answer.code);
        match resource.unwrap_or_default() {
            "phonenumbers" => {
                self.numbers += 1;
                self.conflicts += usize::from(code == Some(409));
            }
            "provideraccounts" | "clusterprovideraccounts" => self.accounts += 1,
            "events" => self.events += 1,
            _ => self.other += 1,
        }
    }

    /// Writes to the kinds of this project.
    pub fn ours(self) -> usize {
        self.numbers + self.accounts
    }
}
