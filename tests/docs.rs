//! What the documentation names exists: files, headings, make targets, flags, values, subcommands, manifests and tests.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::CommandFactory;
use kubectl_phonenumbers::Arguments;
use serde_json::Value;
use test_support::helm::compare;
use test_support::{program, root};

/// A page, by its path from the root.
struct Page {
    path: PathBuf,
    text: String,
}

fn pages() -> Vec<Page> {
    let files = files(
        &[
            "README.md",
            "CHANGELOG.md",
            "CODE_OF_CONDUCT.md",
            "CONTRIBUTING.md",
            "GOVERNANCE.md",
            "MAINTAINERS.md",
            "RELEASE.md",
            "ROADMAP.md",
            "SECURITY.md",
            "SUPPORT.md",
            "tests/README.md",
        ],
        &["docs", "charts", "examples"],
        "md",
    );
    assert!(files.len() > 5, "{files:?}");
    let page = |path: PathBuf| Page {
        text: fs::read_to_string(root().join(&path)).unwrap(),
        path,
    };
    files.into_iter().map(page).collect()
}

/// These files, where they exist, and those below the folders that have this extension.
fn files(single: &[&str], folders: &[&str], extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = single.iter().map(PathBuf::from).collect();
    found.retain(|path| root().join(path).exists());
    let mut open: Vec<_> = folders.iter().map(PathBuf::from).collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What stands between `before` and `after`, each time, outside of pictures.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let pieces = text.split(before).skip(1);
    pieces
        .filter_map(|piece| Some(piece.split_once(after)?.0))
        .collect()
}

/// How GitHub names a heading in an address.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// The commands in code, one a line, without prompt, continuation and what follows a `#`.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for (at, part) in text.split("```").enumerate() {
        if at % 2 == 1 {
            let whole = part.replace("\\\n", " ");
            commands.extend(whole.lines().map(str::to_owned));
        } else {
            let inline = part.split('`').skip(1).step_by(2);
            commands.extend(inline.map(|code| code.replace('\n', " ")));
        }
    }
    let bare = |line: String| {
        let line = line.trim().trim_start_matches("$ ");
        line.split(" #")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    commands
        .into_iter()
        .map(bare)
        .filter(|line| !line.is_empty())
        .collect()
}

fn words_after<'a>(command: &'a str, word: &str) -> Vec<&'a str> {
    let words: Vec<_> = command.split_whitespace().collect();
    let followed = words.windows(2).filter(|pair| pair[0] == word);
    followed.map(|pair| pair[1]).collect()
}

fn help(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(program(name)).args(arguments).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{name} {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The long flags in a text.
fn flags(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '-';
    let flags = text.split("--").skip(1);
    let name = |rest: &str| {
        rest.split(|c| !is_part(c))
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    flags.map(name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for Page { path, text } in pages() {
        let prose: String = text.split("```").step_by(2).collect();
        for target in between(&prose, "](", ")") {
            if target.contains("://") {
                continue;
            }
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = match file {
                "" => root().join(&path),
                file => root().join(&path).parent().unwrap().join(file),
            };
            assert!(to.exists(), "{} links to {target}", path.display());
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&to).unwrap());
                assert!(
                    there.contains(anchor),
                    "{} links to {target}",
                    path.display()
                );
            }
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn every_make_target_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let targets: BTreeSet<_> = makefile
        .lines()
        .filter_map(|line| Some(line.split_once(": ")?.0))
        .collect();
    let mut count = 0;
    for Page { path, text } in pages() {
        for command in commands(&text) {
            if let Some(target) = command.strip_prefix("make ") {
                let target = target.split_whitespace().next().unwrap();
                assert!(targets.contains(target), "{}: {command}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 3, "{count}");
}

#[test]
fn every_manifest_and_folder_that_a_command_names_exists() {
    let yours = |name: &str| name == "-" || name.starts_with("my-") || name == "numbers.yaml";
    let mut count = 0;
    for Page { path, text } in pages() {
        for command in commands(&text) {
            if !command.starts_with("kubectl apply") {
                continue;
            }
            let named = [words_after(&command, "-f"), words_after(&command, "-k")].concat();
            for name in named.into_iter().filter(|name| !yours(name)) {
                assert!(root().join(name).exists(), "{}: {command}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 0, "{count}");
}

#[test]
fn every_value_that_helm_is_given_is_one_of_the_chart() {
    let values =
        fs::read_to_string(root().join("charts/phonenumber-operator/values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&values).unwrap();
    let mut count = 0;
    for Page { path, text } in pages() {
        for command in commands(&text)
            .iter()
            .filter(|command| command.starts_with("helm "))
        {
            for set in words_after(command, "--set") {
                let name = set.split('=').next().unwrap();
                let pointer = format!("/{}", name.replace('.', "/"));
                assert!(
                    values.pointer(&pointer).is_some(),
                    "{}: {command}",
                    path.display()
                );
                count += 1;
            }
        }
    }
    assert!(count > 1, "{count}");
}

#[test]
fn the_flags_of_the_operator_are_all_in_the_table_and_no_others() {
    let page = fs::read_to_string(root().join("docs/reference/flags.md")).unwrap();
    let rows: String = page
        .lines()
        .filter(|line| line.starts_with("| `--"))
        .map(|line| line.split('|').nth(1).unwrap())
        .collect();
    let mut real = flags(&help("phonenumber-operator", &["run", "--help"]));
    real.remove("help");
    // In the explanation of another.
    real.retain(|flag| !flag.is_empty());
    assert_eq!(flags(&rows), real);
}

#[test]
fn every_subcommand_of_the_plugin_exists() {
    let known = Arguments::command().render_help().to_string();
    let mut count = 0;
    for Page { path, text } in pages() {
        for command in commands(&text) {
            if let Some(rest) = command.strip_prefix("kubectl phonenumbers ") {
                let name = rest.split_whitespace().next().unwrap();
                assert!(
                    known.contains(&format!("  {name} ")),
                    "{}: {command}",
                    path.display()
                );
                count += 1;
            }
        }
    }
    assert!(count > 3, "{count}");
}

#[test]
fn the_help_of_every_command_of_the_plugin_is_on_its_page() {
    let mut plugin = Arguments::command();
    plugin.build();
    let mut page = String::from(
        "# Help of the kubectl plugin\n\nWhat `--help` prints of each command of `kubectl phonenumbers`; `make generate` writes this page. \
         [plugin.md](plugin.md) explains the commands.\n",
    );
    let mut count = 0;
    let commands = plugin.get_subcommands_mut();
    for command in commands.filter(|it| !it.is_hide_set() && it.get_name() != "help") {
        let help = command.render_long_help().to_string();
        let lines = help.lines().map(|line| format!("{}\n", line.trim_end()));
        let help: String = lines.collect();
        let name = command.get_name();
        page.push_str(&format!("\n## {name}\n\n```text\n{}```\n", help));
        count += 1;
    }
    assert!(count > 10, "{count}");
    compare("docs/reference/plugin-help.md", &page);
    let explained = fs::read_to_string(root().join("docs/reference/plugin.md")).unwrap();
    for command in plugin.get_subcommands().filter(|it| !it.is_hide_set()) {
        let named = format!("kubectl phonenumbers {}", command.get_name());
        let is_help = command.get_name() == "help";
        assert!(is_help || explained.contains(&named), "{named}");
    }
}

#[test]
fn every_metric_that_a_page_names_exists() {
    let known = fs::read_to_string(root().join("docs/reference/metrics.md")).unwrap();
    let mut count = 0;
    for Page { path, text } in pages() {
        for code in commands(&text) {
            if code.starts_with("phonenumber_") && !code.contains(['(', ' ', '[']) {
                let name = code.split('{').next().unwrap();
                assert!(
                    known.contains(&format!("| `{name}` |")),
                    "{}: {code}",
                    path.display()
                );
                count += 1;
            }
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn every_test_that_a_page_names_exists() {
    let sources = files(&[], &["src", "crates", "tests"], "rs");
    let sources: String = sources
        .iter()
        .map(|path| fs::read_to_string(root().join(path)).unwrap())
        .collect();
    let mut count = 0;
    for Page { path, text } in pages() {
        for code in commands(&text) {
            // A sentence in one word is a test.
            let is_name = code
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            let is_metric = code.starts_with("phonenumber_");
            if is_name && !is_metric && code.matches('_').count() >= 3 {
                assert!(
                    sources.contains(&format!("fn {code}(")),
                    "{}: {code}",
                    path.display()
                );
                count += 1;
            }
        }
    }
    assert!(count > 10, "{count}");
}
