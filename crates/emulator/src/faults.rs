//! What goes wrong on request: rules that a request may meet.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The effect takes place, and the connection is dropped without an answer.
    LostReplyAfterCommit,
    /// Nothing takes place, and the connection is dropped.
    DropBeforeCommit,
    /// The effect takes place, and the answer is 500.
    #[serde(rename = "500-after-commit")]
    ServerErrorAfterCommit,
    /// Nothing takes place, and the answer is 503.
    #[serde(rename = "503")]
    Unavailable,
    /// Nothing takes place, and no answer comes for `seconds`.
    Hang,
    /// The effect takes place, and no answer comes for `seconds`.
    HangAfterCommit,
    /// Nothing takes place, and the answer is 429, with Retry-After if `seconds` is given.
    #[serde(rename = "429")]
    TooManyRequests,
    /// The effect takes place, and half of the answer comes.
    TruncatedBody,
    /// The effect takes place, and the answer is a page of a proxy.
    HtmlBody,
    /// The effect takes place, and the answer is longer than anybody should read.
    OversizedBody,
    /// No answer comes, and the effect takes place `seconds` later.
    Late,
    /// The effect takes place twice, as if something on the way had repeated the request; the second answer comes.
    Twice,
    /// The purchase takes place and is answered, and is undone `seconds` later.
    RolledBack,
    /// A listing is answered as if there were nothing.
    EmptyList,
    /// A page of a listing lacks the second half of its rows.
    ShortPage,
    /// A page of a listing lacks its first row, as if a row of an earlier page had gone meanwhile.
    ShiftedPage,
    /// A listing lacks what was bought in the last `seconds`.
    StalePage,
    /// A listing says that there is one more row than there is.
    WrongTotal,
    /// Nothing takes place, and the answer is the side's own error body with `status`, `code` and `message`.
    Refused,
}

/// When a fault is met.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// twilio, telnyx or burki.
    pub dialect: String,
    /// The operation, such as `buy`; every one if absent.
    #[serde(default)]
    pub operation: Option<String>,
    /// Only requests that mention this text, such as a number.
    #[serde(default)]
    pub mentions: Option<String>,
    /// How often; always if absent.
    #[serde(default)]
    pub times: Option<u64>,
    /// One in so many requests, counted; each if absent.
    #[serde(default)]
    pub every: Option<u64>,
    /// What happens.
    pub kind: Kind,
    /// For kinds that take time.
    #[serde(default)]
    pub seconds: Option<u64>,
    /// The status of a refusal; 400 if absent.
    #[serde(default)]
    pub status: Option<u16>,
    /// The code of a refusal: a number, a text, a list of several, or none.
    #[serde(default)]
    pub code: Value,
    /// The text of a refusal.
    #[serde(default)]
    pub message: String,
}

/// What happens to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Drop,
    LoseReply,
    Hang(Duration),
    HangAfterCommit(Duration),
    ServerError {
        status: u16,
        commits: bool,
    },
    Throttle(Option<Duration>),
    Truncate,
    Html,
    Oversize,
    Late(Duration),
    Twice,
    RollBack(Duration),
    Wrong(Wrong),
    Refuse {
        status: u16,
        code: Value,
        message: String,
    },
}

/// How a listing is wrong that is answered with 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Empty,
    Short,
    Shifted,
    Stale(Duration),
    Total,
}

impl Effect {
    /// True if the request takes effect all the same.
    pub(super) fn commits(&self) -> bool {
        match self {
            Self::Drop
            | Self::Hang(_)
            | Self::Throttle(_)
            | Self::Late(_)
            | Self::Refuse { .. } => false,
            Self::ServerError { commits, .. } => *commits,
            Self::LoseReply
            | Self::HangAfterCommit(_)
            | Self::Truncate
            | Self::Html
            | Self::Oversize
            | Self::Twice
            | Self::RollBack(_)
            | Self::Wrong(_) => true,
        }
    }
}

/// The rules in force, and how often each was met.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) rules: Vec<(Rule, u64, u64)>,
}

impl Faults {
    pub(super) fn add(&mut self, rule: Rule) {
        self.rules.push((rule, 0, 0));
    }

    pub(super) fn met(&self) -> u64 {
        self.rules.iter().map(|(_, _, met)| met).sum()
    }

    /// What the first rule that fits does to a request.
    pub(super) fn meet(&mut self, dialect: &str, operation: &str, text: &str) -> Option<Effect> {
        let (rule, seen, met) = self.rules.iter_mut().find(|(rule, _, met)| {
            rule.dialect == dialect
                && rule
                    .operation
                    .as_deref()
                    .is_none_or(|wanted| wanted == operation)
                && rule
                    .mentions
                    .as_deref()
                    .is_none_or(|wanted| text.contains(wanted))
                && rule.times.is_none_or(|times| *met < times)
        })?;
        *seen += 1;
        if rule
            .every
            .is_some_and(|every| !seen.is_multiple_of(every.max(1)))
        {
            return None;
        }
        *met += 1;
        let time = Duration::from_secs(rule.seconds.unwrap_or(3600));
        Some(match rule.kind {
            Kind::LostReplyAfterCommit => Effect::LoseReply,
            Kind::DropBeforeCommit => Effect::Drop,
            Kind::ServerErrorAfterCommit => Effect::ServerError {
                status: 500,
                commits: true,
            },
            Kind::Unavailable => Effect::ServerError {
                status: 503,
                commits: false,
            },
            Kind::Hang => Effect::Hang(time),
            Kind::HangAfterCommit => Effect::HangAfterCommit(time),
            Kind::TooManyRequests => Effect::Throttle(rule.seconds.map(Duration::from_secs)),
            Kind::TruncatedBody => Effect::Truncate,
            Kind::HtmlBody => Effect::Html,
            Kind::OversizedBody => Effect::Oversize,
            Kind::Late => Effect::Late(time),
            Kind::Twice => Effect::Twice,
            Kind::RolledBack => Effect::RollBack(time),
            Kind::EmptyList => Effect::Wrong(Wrong::Empty),
            Kind::ShortPage => Effect::Wrong(Wrong::Short),
            Kind::ShiftedPage => Effect::Wrong(Wrong::Shifted),
            Kind::StalePage => Effect::Wrong(Wrong::Stale(time)),
            Kind::WrongTotal => Effect::Wrong(Wrong::Total),
            Kind::Refused => Effect::Refuse {
                status: rule.status.unwrap_or(400),
                code: rule.code.clone(),
                message: rule.message.clone(),
            },
        })
    }
}
