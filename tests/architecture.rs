//! Who may know whom: the dependency rule of the source, held by reading it.
//!
//! Only what ends up in the program counts: comments, strings and code under `#[cfg(test)]` are left out.

#![cfg(test)]

#[path = "architecture/circles.rs"]
mod circles;

use std::fs;
use std::path::{Path, PathBuf};

/// What some modules, with all that is below them, may mention.
struct Rule {
    because: &'static str,
    modules: &'static [&'static str],
    except: &'static [&'static str],
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

const RULES: &[Rule] = &[
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
        allowed: Some(&["number", "clock", "sabotage"]),
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
        because: "what a pass begins and ends with are values",
        modules: &["pass"],
        allowed: Some(&["number", "claim", "api"]),
        words: &["kube", "tokio", "Clock", "async"],
        ..ANY
    },
    Rule {
        because: "a plan is made of values: nothing in it can read or write anything",
        modules: &["reconcile::plan"],
        allowed: Some(&["number", "claim", "api", "pass", "provider", "sabotage"]),
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
        because: "the loop decides when a pass is made, and a pass does not know",
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

/// The right to buy comes from the reply to the claiming write alone, and the right to release from the reply to the write
/// that decides on it.
const MAKES_TOKENS: [&str; 2] = ["from_reply", "of_reply"];

/// What a function can take to reach Kubernetes, a provider or the count of an hour.
const REACH: [&str; 4] = ["Cluster", "Providers", "Writer", "HourlyQuotas"];

/// Enough to parse, to build and to call.
const LINES_OF_A_BINARY: usize = 120;

/// What the rules call a crate whose modules stand beside those of the operator, its own name, and where it is.
const CRATES: [(&str, &str, &str); 2] = [
    ("api", "phonenumber_api", "crates/api"),
    (
        "plugin",
        "kubectl_phonenumbers",
        "crates/kubectl-phonenumbers",
    ),
];

/// A source file: its module path, and what it is made of without comments, strings and tests.
struct Source {
    name: String,
    module: Vec<String>,
    tokens: Vec<String>,
}

impl Source {
    fn new(name: &str, text: &str) -> Self {
        let path = name.trim_end_matches(".rs").trim_end_matches("/mod");
        let mut module: Vec<_> = path.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "lib") {
            module.pop();
        }
        Self {
            name: name.to_owned(),
            module,
            tokens: without_tests(&tokens(text)),
        }
    }

    fn is_in(&self, module: &str) -> bool {
        starts_with(&self.module, module)
    }

    fn mentions_word(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token == word)
    }

    /// The module that is the root of its crate.
    fn crate_root(&self) -> Vec<String> {
        let first = self.module.iter().take(1);
        let is_crate = |first: &&String| CRATES.iter().any(|(module, ..)| module == first);
        first.filter(is_crate).cloned().collect()
    }

    /// The absolute paths into the operator's crates that it mentions.
    fn mentions(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let goes_on = self.tokens.get(at + 1).is_some_and(|token| token == "::");
            let base = match self.tokens[at].as_str() {
                "crate" if goes_on => Some(self.crate_root()),
                "self" if goes_on => Some(self.module.clone()),
                "super" if goes_on => Some(parent(&self.module)),
                "telephony" if goes_on => Some(Vec::new()),
                name if goes_on => CRATES
                    .iter()
                    .find(|(_, own_name, _)| *own_name == name)
                    .map(|(module, ..)| vec![(*module).to_owned()]),
                _ => None,
            };
            at = match base {
                Some(base) => tree(&self.tokens, at + 2, &base, &mut found),
                None => at + 1,
            };
        }
        found
    }
}

fn parent(module: &[String]) -> Vec<String> {
    module
        .split_last()
        .map(|(_, parent)| parent.to_vec())
        .unwrap_or_default()
}

/// Reads a path or a tree of paths that begins at `at` below `base`. Returns where it ends.
fn tree(tokens: &[String], mut at: usize, base: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = base.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = if tokens[at] == "," {
                        at + 1
                    } else {
                        tree(tokens, at, &path, found)
                    };
                }
                return at + 1;
            }
            Some("super") => path = parent(&path),
            Some("self" | "*") => {}
            Some(name) if is_name(name) => path.push(name.to_owned()),
            _ => {
                found.push(path);
                return at + 1;
            }
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            // Another name: `self as plan`.
            if tokens.get(at).is_some_and(|token| token == "as") {
                at += 2;
            }
            found.push(path);
            return at;
        }
        at += 1;
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Names, `::`, and single characters; without comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    let is = |at: usize, wanted: &str| {
        wanted
            .chars()
            .enumerate()
            .all(|(i, c)| text.get(at + i) == Some(&c))
    };
    let in_name = |at: usize| {
        text.get(at)
            .is_some_and(|c| c.is_alphanumeric() || *c == '_')
    };
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if is(at, "//") {
            at = (at..text.len())
                .find(|i| text[*i] == '\n')
                .unwrap_or(text.len());
        } else if is(at, "/*") {
            let mut depth = 0;
            while at < text.len() {
                let step = if is(at, "/*") {
                    1
                } else {
                    -i32::from(is(at, "*/"))
                };
                depth += step;
                at += if step == 0 { 1 } else { 2 };
                if depth == 0 {
                    break;
                }
            }
        } else if text[at] == '"' {
            at += 1;
            while at < text.len() && text[at] != '"' {
                at += if text[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if text[at] == '\'' {
            // A character ends with a quote; a lifetime does not.
            at = match (text.get(at + 1), text.get(at + 2)) {
                (Some('\\'), _) => {
                    (at + 3..text.len())
                        .find(|i| text[*i] == '\'')
                        .unwrap_or(text.len())
                        + 1
                }
                (_, Some('\'')) => at + 3,
                _ => (at + 1..text.len())
                    .find(|i| !in_name(*i))
                    .unwrap_or(text.len()),
            };
        } else if in_name(at) {
            let end = (at..text.len())
                .find(|i| !in_name(*i))
                .unwrap_or(text.len());
            let name: String = text[at..end].iter().collect();
            at = end;
            let hashes = (at..text.len()).take_while(|i| text[*i] == '#').count();
            if matches!(name.as_str(), "r" | "br" | "cr") && text.get(at + hashes) == Some(&'"') {
                let close = format!("\"{}", "#".repeat(hashes));
                let body = at + hashes + 1;
                at = (body..text.len())
                    .find(|i| is(*i, &close))
                    .unwrap_or(text.len())
                    + close.len();
            } else {
                tokens.push(name);
            }
        } else if is(at, "::") {
            tokens.push("::".into());
            at += 2;
        } else {
            if !text[at].is_whitespace() {
                tokens.push(text[at].to_string());
            }
            at += 1;
        }
    }
    tokens
}

/// Leaves out the items under `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !TEST
            .iter()
            .enumerate()
            .all(|(i, token)| tokens.get(at + i).is_some_and(|found| found == token))
        {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0;
        at += TEST.len();
        while at < tokens.len() {
            match tokens[at].as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 && matches!(tokens[at - 1].as_str(), "}" | ";") {
                break;
            }
        }
    }
    kept
}

fn starts_with(path: &[String], module: &str) -> bool {
    let module = segments(module);
    path.len() >= module.len() && path.iter().zip(&module).all(|(a, b)| a == b)
}

fn segments(module: &str) -> Vec<&str> {
    module.split("::").filter(|name| !name.is_empty()).collect()
}

impl Rule {
    fn applies_to(&self, source: &Source) -> bool {
        self.modules.iter().any(|module| source.is_in(module))
            && !self.except.iter().any(|module| source.is_in(module))
    }

    fn violations(&self, source: &Source) -> Vec<String> {
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

fn root() -> PathBuf {
    test_support::root().join("src")
}

/// Where the crate is that knows no Kubernetes. The operator has its modules under the same names.
fn telephony() -> PathBuf {
    root().join("../crates/telephony")
}

/// Every source file of the operator and of the crates that it shares that is not there for tests alone.
fn sources() -> Vec<Source> {
    let mut sources = sources_in(&root(), "");
    let below = sources_in(&telephony().join("src"), "").into_iter();
    sources.extend(below.filter(|source| !source.module.is_empty()));
    for (module, _, path) in CRATES {
        let folder = root().join("..").join(path).join("src");
        sources.extend(sources_in(&folder, &format!("{module}/")));
    }
    sources
}

/// Every source file below `root` that is not there for tests alone, with `prefix` before its name.
fn sources_in(root: &Path, prefix: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if path.is_dir() && name != "bin" {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push(Source::new(&format!("{prefix}{name}"), &text));
            }
        }
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    sources
}

#[test]
fn every_module_mentions_only_what_it_may_know() {
    let sources = sources();
    let mut violations = Vec::new();
    for rule in RULES {
        let found: Vec<&Source> = sources
            .iter()
            .filter(|source| rule.applies_to(source))
            .collect();
        let names: Vec<&str> = found.iter().map(|source| source.name.as_str()).collect();
        println!("{}: {}", rule.because, names.join(" "));
        violations.extend(found.iter().flat_map(|source| rule.violations(source)));
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_rule_is_about_modules_that_exist() {
    let sources = sources();
    for module in RULES
        .iter()
        .flat_map(|rule| rule.modules.iter().chain(rule.except))
    {
        let exists = sources.iter().any(|source| source.is_in(module));
        assert!(exists, "a rule is about {module}, which does not exist");
    }
}

/// Compiled for unit tests alone.
const FAKE: &str = "provider/http/fake.rs";

/// Where the tokens that `maker` makes are made, outside the module that defines them.
fn makers_of_tokens<'a>(sources: &'a [Source], maker: &str) -> Vec<&'a str> {
    let elsewhere = sources
        .iter()
        .filter(|source| !source.is_in("claim") && source.name != FAKE);
    elsewhere
        .filter(|source| source.mentions_word(maker))
        .map(|source| source.name.as_str())
        .collect()
}

#[test]
fn the_right_to_buy_and_the_right_to_release_are_each_made_in_one_place() {
    let sources = sources();
    for maker in MAKES_TOKENS {
        let makers = makers_of_tokens(&sources, maker);
        assert!(
            makers.len() == 1 && makers[0].starts_with("reconcile/"),
            "{maker} in {makers:?}"
        );
    }
}

/// The crates that `manifest` needs, except for tests.
fn needed(manifest: &str) -> Vec<&str> {
    let mut needed = Vec::new();
    let mut counts = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            counts = line == "[dependencies]" || line.ends_with(".dependencies]");
        } else if counts && let Some((name, _)) = line.split_once(" = ") {
            needed.push(name);
        }
    }
    needed
}

/// The compiler holds these borders, as long as no manifest opens them.
#[test]
fn no_crate_needs_what_it_must_not_know() {
    let shared = ["telephony", "phonenumber-api"];
    let ours = [
        &shared[..],
        &[
            "kubectl-phonenumbers",
            "phonenumber-emulator",
            "phonenumber-operator",
        ],
    ]
    .concat();
    let borders: [(&str, &[&str], &[&str]); 4] = [
        (
            "crates/telephony",
            &[],
            &["kube", "k8s-openapi", "prometheus-client"],
        ),
        ("crates/api", &shared[..1], &["reqwest", "tokio"]),
        (
            "crates/kubectl-phonenumbers",
            &shared,
            &["axum", "opentelemetry", "prometheus-client", "reqwest"],
        ),
        (".", &shared, &[]),
    ];
    for (path, may_know, must_not_know) in borders {
        let manifest = root().join("..").join(path).join("Cargo.toml");
        let manifest = fs::read_to_string(manifest).unwrap();
        let needed = needed(&manifest);
        assert!(needed.contains(&"serde"), "{path}: {needed:?}");
        for name in needed {
            let is_strange = ours.contains(&name) && !may_know.contains(&name);
            assert!(
                !is_strange && !must_not_know.contains(&name),
                "{path} needs {name}"
            );
        }
    }
}

/// The files that name all of [`REACH`].
fn files_that_reach_everything(sources: &[Source]) -> Vec<&str> {
    let all = |source: &&Source| REACH.iter().all(|word| source.mentions_word(word));
    let found = sources.iter().filter(all);
    found.map(|source| source.name.as_str()).collect()
}

/// No value holds all that there is: a function that took it would not tell what it reads, spends or writes.
#[test]
fn only_the_loop_reaches_everything() {
    let sources = sources();
    let found = files_that_reach_everything(&sources);
    assert_eq!(found, ["controller/reconciler.rs", "reconcile/number.rs"]);
}

#[test]
fn a_value_that_reaches_everything_is_noticed() {
    let all = "pub struct All { cluster: Cluster, providers: Arc<Providers>, writer: Writer, quotas: HourlyQuotas }";
    let less = "fn claim(cluster: &Cluster, writer: &Writer, quotas: &HourlyQuotas) {}";
    let sources = [
        Source::new("controller/all.rs", all),
        Source::new("reconcile/perform/spend.rs", less),
    ];
    assert_eq!(files_that_reach_everything(&sources), ["controller/all.rs"]);
}

#[test]
fn binaries_parse_build_and_call() {
    let mut binaries: Vec<PathBuf> = fs::read_dir(root().join("bin"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!binaries.is_empty());
    binaries.push(root().join("../crates/kubectl-phonenumbers/src/main.rs"));
    for binary in binaries {
        let lines = fs::read_to_string(&binary).unwrap().lines().count();
        assert!(
            lines < LINES_OF_A_BINARY,
            "{} has {lines} lines",
            binary.display()
        );
    }
}

/// What all rules say about a file with this name and text.
fn judged(name: &str, text: &str) -> usize {
    let source = Source::new(name, text);
    let rules = RULES.iter().filter(|rule| rule.applies_to(&source));
    rules.map(|rule| rule.violations(&source).len()).sum()
}

#[test]
fn each_rule_notices_when_it_is_broken() {
    for (name, text) in [
        ("number.rs", "use crate::clock::Clock;"),
        (
            "number/mark.rs",
            "fn of(text: &str) -> crate::claim::Claim { todo!() }",
        ),
        ("number/mark.rs", "use super::super::api::PhoneNumber;"),
        ("clock.rs", "use crate::number::E164;"),
        (
            "claim.rs",
            "use crate::{\n    clock::Instant, // fine\n    provider::{self as company, Order},\n};",
        ),
        ("claim.rs", "use crate::*;"),
        ("pass.rs", "use crate::{cluster as resources};"),
        ("pass.rs", "fn ask(client: &kube::Client) {}"),
        ("reconcile/plan.rs", "use super::memory::Memory;"),
        (
            "reconcile/plan.rs",
            "use crate::cluster::observations::Verified;",
        ),
        ("reconcile/plan.rs", "fn plan(cluster: &Cluster) {}"),
        ("cluster.rs", "use crate::reconcile::plan::Outcome;"),
        ("cluster/process.rs", "use super::super::reconcile::plan;"),
        (
            "cluster/slots.rs",
            "use crate::controller::schedule::Pauses;",
        ),
        ("cluster/secrets.rs", "use crate::controller;"),
        (
            "reconcile/number.rs",
            "use crate::controller::reconciler::Reconciler;",
        ),
        (
            "reconcile/perform/spend.rs",
            "fn buy() { crate::controller::REREAD_AFTER; }",
        ),
        ("api/refs.rs", "use telephony::claim::Claim;"),
        ("api/account.rs", "use kube::{Client, KubeSchema};"),
        ("pass.rs", "use crate::reconcile::plan::Step;"),
        ("pass.rs", "use telephony::provider::Order;"),
        (
            "reconcile/plan/maintain.rs",
            "use super::super::perform::perform;",
        ),
        (
            "reconcile/plan/maintain.rs",
            "use crate::provider::{Order, http::Client};",
        ),
        ("reconcile/plan.rs", "use crate::provider;"),
        (
            "reconcile/plan.rs",
            "fn plan(company: &dyn crate::provider::ProviderApi) {}",
        ),
        ("reconcile/plan.rs", "async fn plan() {}"),
        (
            "number.rs",
            "const A: char = '\"'; use crate::provider::Order; const B: char = '\"';",
        ),
        ("number/mark.rs", "use super::super::provider::twilio;"),
        (
            "number.rs",
            "fn of<'a>(text: &'a str) -> crate::burki::Reply<'a> { todo!() }",
        ),
        ("reconcile/report.rs", "use super::plan::{Facts, plan};"),
        (
            "reconcile/perform/settle.rs",
            "fn next(facts: &Facts) { super::super::plan::plan(facts); }",
        ),
        ("reconcile/resolve.rs", "use kube::api::PatchParams;"),
        (
            "reconcile/resolve.rs",
            "fn resolve(quotas: &HourlyQuotas) {}",
        ),
        (
            "reconcile/perform/look.rs",
            "use super::super::writer::Writer;",
        ),
        (
            "reconcile/perform/spend.rs",
            "fn buy(providers: &Providers) {}",
        ),
        (
            "reconcile/perform/settle.rs",
            "use super::super::quota::{HourlyQuotas, Slot};",
        ),
        (
            "reconcile/report.rs",
            "fn report(state: &State, schedule: &Schedule) {}",
        ),
        ("burki.rs", "use reqwest::Client;"),
        ("plugin/cluster.rs", "use kube::api::{Api, PostParams};"),
        (
            "plugin/account.rs",
            "fn buy(account: &telephony::account::Account) { account.provider_api(); }",
        ),
        ("plugin/lib.rs", "use telephony::provider;"),
        ("plugin/survey.rs", "use telephony::claim::Claim;"),
        ("lib.rs", "pub use reqwest;"),
    ] {
        assert!(judged(name, text) > 0, "{name} was let through: {text}");
    }
}

#[test]
fn what_follows_the_rules_is_let_through() {
    for (name, text) in [
        (
            "number.rs",
            "pub use mark::Mark; use self::mark::Whose; use crate::number::setup::Routing;",
        ),
        (
            "number/mark.rs",
            "use super::Owner; pub(crate) fn mark() {} pub(super) fn owner() {}",
        ),
        (
            "claim.rs",
            "use crate::{clock::Instant, number::{E164, Owner}};",
        ),
        (
            "pass.rs",
            "//! Knows no kube, no crate::cluster.\n/* crate::cluster /* crate::controller */ */ use crate::claim::Token;",
        ),
        ("provider/http.rs", "use reqwest::Client;"),
        (
            "pass.rs",
            "const HELP: &str = \"see \\\" crate::cluster kube\";",
        ),
        (
            "pass.rs",
            "const KIND: &str = r#\"a \"kube::Client\" of crate::cluster\"#;",
        ),
        (
            "pass.rs",
            "#[cfg(test)]\nmod tests { use kube::Client; fn a() { b[0]; } }",
        ),
        ("pass.rs", "#[cfg(test)]\n#[path = \"x.rs\"]\nmod kube;"),
        (
            "reconcile/plan/maintain.rs",
            "use super::{Step, Facts}; use crate::provider::{Order, OrderState};",
        ),
        (
            "reconcile/perform.rs",
            "use crate::leader::Term; use kube::Client;",
        ),
        (
            "api/refs.rs",
            "use kube::Resource; use crate::{AccountKind, word::Word}; use super::PhoneNumber; use telephony::number::Owner;",
        ),
        (
            "pass.rs",
            "use phonenumber_api::Reason; use crate::api::Class;",
        ),
        (
            "cluster/observations.rs",
            "use crate::pass::{Memory, Outcome}; use super::Cluster;",
        ),
        (
            "reconcile/number.rs",
            "use super::plan::plan; use crate::cluster::Cluster; use crate::pass::Outcome;",
        ),
        (
            "controller/reconciler.rs",
            "use super::schedule::Schedule; use crate::reconcile::number; use crate::cluster::Cluster;",
        ),
        (
            "reconcile/perform/spend.rs",
            "fn claim(cluster: &Cluster, writer: &Writer, quotas: &HourlyQuotas) {}",
        ),
        (
            "plugin/account.rs",
            "use super::cluster::Cluster; use telephony::account::Accounts; use telephony::provider::{Error, http::Client};",
        ),
    ] {
        let violations = judged(name, text);
        assert_eq!(violations, 0, "{name} was refused: {text}");
    }
}

#[test]
fn what_follows_a_test_is_judged_again() {
    let text = "#[cfg(test)] mod tests { fn a() {} } use crate::cluster::Cluster;";
    assert_eq!(judged("pass.rs", text), 1);
}

#[test]
fn a_second_place_that_makes_tokens_is_noticed() {
    let sources = [
        Source::new("claim.rs", "impl Token { pub fn from_reply() {} }"),
        Source::new(
            "reconcile/perform.rs",
            "let token = Token::from_reply(reply, claim, sent);",
        ),
        Source::new(
            "reconcile/number.rs",
            "use crate::claim::Token as Right; fn a() { Right::from_reply() }",
        ),
        Source::new(
            "provider/twilio.rs",
            "#[cfg(test)] mod tests { fn token() { Token::from_reply() } }",
        ),
    ];
    assert_eq!(
        makers_of_tokens(&sources, MAKES_TOKENS[0]),
        ["reconcile/perform.rs", "reconcile/number.rs"]
    );
}

/// The compiler holds that neither imports the other, so that one misreading of a provider cannot hide in both.
#[test]
fn the_emulator_and_the_operator_are_crates_that_do_not_need_each_other() {
    let read = |path: &str| fs::read_to_string(test_support::root().join(path)).unwrap();
    let emulator = read("crates/emulator/Cargo.toml");
    for line in emulator.lines().filter(|line| line.contains('{')) {
        assert!(
            !line.contains("path") && !line.contains("workspace"),
            "{line}"
        );
    }
    let operator = read("Cargo.toml");
    let (needed, for_tests) = operator.split_once("[dev-dependencies]").unwrap();
    let (_, needed) = needed.split_once("[dependencies]").unwrap();
    assert!(!needed.contains("phonenumber-emulator"));
    assert!(for_tests.contains("phonenumber-emulator"));
}
