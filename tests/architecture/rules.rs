//! What each part may know.

use super::source::{Source, segments, starts_with};

/// What some modules, with all that is below them, may mention.
pub struct Rule {
    pub because: &'static str,
    pub modules: &'static [&'static str],
    pub except: &'static [&'static str],
    /// The only modules of this crate that may be mentioned besides `modules`; `None` leaves that open.
    allowed: Option<&'static [&'static str]>,
    /// Modules and types of this crate that may not be mentioned, nor anything that would give access to them.
    forbidden: &'static [&'static str],
    /// Names that may not occur at all.
    words: &'static [&'static str],
}

const ANY: Rule = Rule {
    because: "",
    modules: &[],
    except: &[],
    allowed: None,
    forbidden: &[],
    words: &[],
};

pub const RULES: &[Rule] = &[
    Rule {
        because: "values know nothing of who uses them",
        modules: &["number"],
        allowed: Some(&[]),
        ..ANY
    },
    Rule {
        because: "time comes from outside",
        modules: &["clock"],
        allowed: Some(&[]),
        ..ANY
    },
    Rule {
        because: "a claim is text that is stored, and a clock that ages it",
        modules: &["claim"],
        allowed: Some(&["number", "clock", "safeguards"]),
        ..ANY
    },
    Rule {
        because: "custom resources are made of values, and nothing in them reaches a cluster",
        modules: &["api"],
        allowed: Some(&["number"]),
        words: &["Client", "async"],
        ..ANY
    },
    Rule {
        because: "what a reconcile begins and ends with are values",
        modules: &["outcome"],
        allowed: Some(&["number", "claim", "api"]),
        words: &["kube", "tokio", "Clock", "async"],
        ..ANY
    },
    Rule {
        because: "a plan is made of values: nothing in it can read or write anything",
        modules: &["reconcile::plan"],
        allowed: Some(&[
            "number",
            "claim",
            "api",
            "outcome",
            "provider",
            "safeguards",
        ]),
        forbidden: &[
            "provider::http",
            "provider::twilio",
            "provider::telnyx",
            "provider::ProviderApi",
        ],
        words: &["kube", "tokio", "Clock", "rand", "async"],
        ..ANY
    },
    Rule {
        because: "one place decides which step is next",
        modules: &[
            "reconcile::perform",
            "reconcile::report",
            "reconcile::resolve",
            "reconcile::audit",
        ],
        forbidden: &["reconcile::plan::plan"],
        ..ANY
    },
    Rule {
        because: "what a resource asks for is found out without a write",
        modules: &["reconcile::resolve"],
        words: &["writes", "set_webhook"],
        ..ANY
    },
    Rule {
        because: "what only reads the cluster takes no writer",
        modules: &[
            "cluster",
            "controller::collector",
            "reconcile::inspect",
            "reconcile::limits",
            "reconcile::perform::look",
            "reconcile::providers",
            "reconcile::purchasers",
            "reconcile::resolve",
            "reconcile::rivals",
            "reconcile::state",
            "reconcile::webhooks",
        ],
        except: &["cluster::events", "cluster::quota", "cluster::writer"],
        words: &["Writer", "PostParams", "Patch", "PatchParams"],
        ..ANY
    },
    Rule {
        because: "a step reaches no other account than the one that was resolved for its number",
        modules: &[
            "cluster",
            "reconcile::fault",
            "reconcile::perform",
            "reconcile::report",
            "reconcile::state",
        ],
        words: &["Providers", "Accounts", "Directory"],
        ..ANY
    },
    Rule {
        because: "only what buys, takes over or releases, or learns what came of that, counts against the hour",
        modules: &[
            "reconcile::account",
            "cluster",
            "reconcile::fault",
            "reconcile::inspect",
            "reconcile::perform::settle",
            "reconcile::providers",
            "reconcile::report",
            "reconcile::resolve",
            "reconcile::state",
        ],
        except: &["cluster::quota"],
        words: &["HourlyQuotas"],
        ..ANY
    },
    Rule {
        because: "what Kubernetes holds is known without what is done about it, and when",
        modules: &["cluster"],
        forbidden: &["reconcile", "controller"],
        ..ANY
    },
    Rule {
        because: "the loop decides when a reconcile is made, and a reconcile does not know",
        modules: &["reconcile"],
        forbidden: &["controller"],
        words: &["Schedule", "Setbacks"],
        ..ANY
    },
    Rule {
        because: "a plan and what Kubernetes holds do not know each other",
        modules: &["reconcile::plan"],
        forbidden: &["cluster"],
        words: &["Cluster"],
        ..ANY
    },
    Rule {
        because: "the kubectl plugin only reads",
        modules: &["plugin"],
        forbidden: &["claim", "burki", "provider::ProviderApi"],
        words: &[
            "provider_api",
            "PostParams",
            "Patch",
            "PatchParams",
            "DeleteParams",
        ],
        ..ANY
    },
    Rule {
        because: "what is sent to providers goes through one door, and traces through another",
        modules: &[""],
        except: &["provider::http", "telemetry::traces"],
        words: &["reqwest"],
        ..ANY
    },
];

impl Rule {
    pub fn applies_to(&self, source: &Source) -> bool {
        self.modules.iter().any(|module| source.is_in(module))
            && !self.except.iter().any(|module| source.is_in(module))
    }

    pub fn violations(&self, source: &Source) -> Vec<String> {
        let mut violations = Vec::new();
        for path in source.mentions() {
            let own = self.modules.iter().any(|module| starts_with(&path, module));
            let allowed = self.allowed.is_none_or(|allowed| {
                own || allowed.iter().any(|module| starts_with(&path, module))
            });
            let forbidden = self.forbidden.iter().any(|module| {
                let opens_the_way = segments(module).iter().zip(&path).all(|(a, b)| a == b);
                opens_the_way && !own
            });
            if !allowed || forbidden {
                violations.push(format!("crate::{}", path.join("::")));
            }
        }
        let words = self.words.iter().filter(|word| source.mentions_word(word));
        violations.extend(words.map(|word| (*word).to_owned()));
        violations
            .iter()
            .map(|what| format!("{} mentions {what}, but {}", source.name, self.because))
            .collect()
    }
}
