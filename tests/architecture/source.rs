//! Source files, read as far as the rules need it.

use std::fs;
use std::path::{Path, PathBuf};

/// What the rules call a crate whose modules stand beside those of the operator, its own name, and where it is.
pub const CRATES: [(&str, &str, &str); 2] = [
    ("api", "phonenumber_api", "crates/api"),
    (
        "plugin",
        "kubectl_phonenumbers",
        "crates/kubectl-phonenumbers",
    ),
];

/// A source file: its module path, and what it is made of without comments, strings and tests.
pub struct Source {
    pub name: String,
    pub module: Vec<String>,
    pub tokens: Vec<String>,
}

impl Source {
    pub fn new(name: &str, text: &str) -> Self {
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

    pub fn is_in(&self, module: &str) -> bool {
        starts_with(&self.module, module)
    }

    pub fn mentions_word(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token == word)
    }

    /// The module that is the root of its crate.
    fn crate_root(&self) -> Vec<String> {
        let first = self.module.iter().take(1);
        let is_crate = |first: &&String| CRATES.iter().any(|(module, ..)| module == first);
        first.filter(is_crate).cloned().collect()
    }

    /// The absolute paths into the operator's crates that it mentions.
    pub fn mentions(&self) -> Vec<Vec<String>> {
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

pub fn starts_with(path: &[String], module: &str) -> bool {
    let module = segments(module);
    path.len() >= module.len() && path.iter().zip(&module).all(|(a, b)| a == b)
}

pub fn segments(module: &str) -> Vec<&str> {
    module.split("::").filter(|name| !name.is_empty()).collect()
}

pub fn root() -> PathBuf {
    test_support::root().join("src")
}

/// Where the crate is that knows no Kubernetes. The operator has its modules under the same names.
pub fn telephony() -> PathBuf {
    root().join("../crates/telephony")
}

/// Every source file of the operator and of the crates that it shares that is not there for tests alone.
pub fn sources() -> Vec<Source> {
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
pub fn sources_in(root: &Path, prefix: &str) -> Vec<Source> {
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
