//! Completion: scripts for shells, and kubectl's protocol for plugins. kubectl runs `kubectl_complete-phonenumbers` with the words of
//! the command line, the last of which is being typed. It prints a candidate a line, and a last line that says whether names of files
//! are meant.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Arg, Args, Command, CommandFactory, FromArgMatches};
use clap_complete::Shell;
use kube::Resource;
use kube::api::ListParams;
use phonenumber_api::{ClusterProviderAccount, PhoneNumber, ProviderAccount};
use serde_json::Value;

use super::cluster::{Cluster, Connection};
use super::error::Error;
use super::{Answer, Arguments};

/// How long a person who types waits for names of objects.
const PATIENCE: Duration = Duration::from_secs(2);

/// No names of files complete the word.
const NO_FILES: &str = ":4";

/// Names of files complete the word.
const FILES: &str = ":0";

/// Flags that take a file or a folder.
const PATHS: &[&str] = &[
    "kubeconfig",
    "filename",
    "out",
    "assistant-map",
    "prices",
    "base",
];

/// What a person asks for.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// What kubectl asks for.
#[derive(Args, Debug)]
pub(super) struct Words {
    /// The words behind `kubectl phonenumbers`, the last of which is being typed.
    #[arg(
        value_name = "WORD",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<OsString>,
}

/// The script for `shell`, which completes `kubectl-phonenumbers`.
pub(super) fn script(request: &Request) -> Result<Answer, Error> {
    let mut command = Arguments::command();
    let mut script = Vec::new();
    let name = "kubectl-phonenumbers";
    clap_complete::generate(request.shell, &mut command, name, &mut script);
    let output = String::from_utf8(script).map_err(|error| Error::unprintable(&error))?;
    Ok(Answer {
        output,
        ..Answer::default()
    })
}

/// The candidates for the last of the words, in kubectl's protocol. Names of objects are among them where the cluster answers
/// soon enough.
pub(super) async fn candidates(words: &Words) -> Answer {
    let words: Vec<&str> = words
        .words
        .iter()
        .map(|word| word.to_str().unwrap_or_default())
        .collect();
    let (last, before) = words.split_last().unwrap_or((&"", &[]));
    let mut command = Arguments::command();
    command.build();
    let (mut candidates, directive) = complete(&command, before, last);
    if directive == NO_FILES && !last.starts_with('-') {
        let names = tokio::time::timeout(PATIENCE, names(&command, before)).await;
        let names = names.unwrap_or_default().into_iter();
        candidates.extend(names.map(|name| (name, String::new())));
    }
    Answer {
        output: lines(candidates, last, directive),
        ..Answer::default()
    }
}

/// What of `candidates` begins with `last`, a line each, and the directive.
fn lines(candidates: Candidates, last: &str, directive: &str) -> String {
    let mut output = String::new();
    for (candidate, about) in candidates {
        if candidate.starts_with(last) {
            output.push_str(&candidate);
            if !about.is_empty() {
                output.push('\t');
                output.push_str(&about);
            }
            output.push('\n');
        }
    }
    output.push_str(directive);
    output.push('\n');
    output
}

/// The objects whose names may stand behind `before`, by the cluster and the namespace that its flags name. Nothing where they
/// cannot be read.
async fn names(whole: &Command, before: &[&str]) -> Vec<String> {
    let Some((wanted, connection)) = objects(whole, before) else {
        return Vec::new();
    };
    let Ok(cluster) = Cluster::open(connection).await else {
        return Vec::new();
    };
    match wanted {
        Objects::Numbers => names_of::<PhoneNumber>(&cluster, true).await,
        Objects::Accounts => {
            let mut names = names_of::<ProviderAccount>(&cluster, true).await;
            let shared = names_of::<ClusterProviderAccount>(&cluster, false).await;
            names.extend(
                shared
                    .iter()
                    .map(|name| format!("clusterprovideraccount/{name}")),
            );
            names
        }
    }
}

async fn names_of<K: Resource<DynamicType = ()>>(
    cluster: &Cluster,
    is_namespaced: bool,
) -> Vec<String> {
    let namespace = is_namespaced.then(|| cluster.namespace());
    let found = cluster.values::<K>(namespace, ListParams::default()).await;
    let found = found.unwrap_or_default();
    let names = found
        .iter()
        .filter_map(|object| object.pointer("/metadata/name").and_then(Value::as_str));
    names.map(str::to_owned).collect()
}

/// What an argument names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Objects {
    Numbers,
    Accounts,
}

/// The kind of objects that the next word behind `before` names, and where they are; `None` if it names none.
fn objects(whole: &Command, before: &[&str]) -> Option<(Objects, Connection)> {
    let (name, command) = before
        .iter()
        .find_map(|word| Some((*word, whole.find_subcommand(word)?)))?;
    let flag = before.last().and_then(|word| flag_of(command, word));
    if flag.is_some_and(|arg| arg.get_action().takes_values()) {
        return None;
    }
    let line = ["kubectl-phonenumbers"].iter().chain(before);
    let parsed = whole.clone().ignore_errors(true);
    let matches = parsed.try_get_matches_from(line).ok()?;
    let matches = matches.subcommand_matches(name)?;
    let open = command.get_positionals().find(|arg| {
        let is_given = matches.get_raw(arg.get_id().as_str()).is_some();
        let is_list = matches!(arg.get_action(), clap::ArgAction::Append);
        is_list || !is_given
    })?;
    let title = open.get_value_names()?.first()?.as_str();
    let wanted = match title {
        "NAME" => Objects::Numbers,
        "ACCOUNT" => Objects::Accounts,
        _ => return None,
    };
    Some((wanted, Connection::from_arg_matches(matches).ok()?))
}

/// Words with what they are, for people.
type Candidates = Vec<(String, String)>;

/// What may stand where `last` is being typed, behind `before`.
fn complete(whole: &Command, before: &[&str], last: &str) -> (Candidates, &'static str) {
    let mut command = whole;
    for word in before {
        if let Some(found) = command.find_subcommand(word) {
            command = found;
        }
    }
    if let Some((flag, _)) = last.split_once('=')
        && let Some(arg) = flag_of(command, flag)
    {
        let (values, directive) = values(arg);
        let whole = |(value, about)| (format!("{flag}={value}"), about);
        return (values.into_iter().map(whole).collect(), directive);
    }
    let flag = before.last().and_then(|word| flag_of(command, word));
    if let Some(arg) = flag.filter(|arg| arg.get_action().takes_values()) {
        return values(arg);
    }
    if last.starts_with('-') {
        let flags = command.get_arguments().filter(|arg| !arg.is_hide_set());
        let named = flags.filter_map(|arg| Some((format!("--{}", arg.get_long()?), about(arg))));
        return (named.collect(), NO_FILES);
    }
    let below = command.get_subcommands().filter(|it| !it.is_hide_set());
    let mut found: Candidates = below
        .map(|it| {
            let about = it.get_about().map(ToString::to_string);
            (it.get_name().to_owned(), about.unwrap_or_default())
        })
        .collect();
    for arg in command.get_positionals() {
        found.extend(values(arg).0);
    }
    (found, NO_FILES)
}

/// The flag of `command` that `word` is.
fn flag_of<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let long = word.strip_prefix("--");
    let short = word.strip_prefix('-').and_then(|rest| {
        let mut letters = rest.chars();
        letters.next().filter(|_| letters.next().is_none())
    });
    command.get_arguments().find(|arg| {
        (long.is_some() && arg.get_long() == long) || (short.is_some() && arg.get_short() == short)
    })
}

/// The values that `arg` may have, as far as they are known.
fn values(arg: &Arg) -> (Candidates, &'static str) {
    let known = arg.get_possible_values();
    let known = known.iter().filter(|value| !value.is_hide_set());
    let values = known.map(|value| {
        let about = value.get_help().map(ToString::to_string);
        (value.get_name().to_owned(), about.unwrap_or_default())
    });
    let is_path = arg.get_long().is_some_and(|name| PATHS.contains(&name));
    (values.collect(), if is_path { FILES } else { NO_FILES })
}

fn about(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Command {
        let mut command = Arguments::command();
        command.build();
        command
    }

    /// The words alone, with the directive.
    fn names(words: &[&str]) -> Vec<String> {
        let (last, before) = words.split_last().unwrap_or((&"", &[]));
        let (candidates, directive) = complete(&whole(), before, last);
        let text = lines(candidates, last, directive);
        let names = text.lines().map(|line| line.split('\t').next().unwrap());
        names.map(str::to_owned).collect()
    }

    #[test]
    fn a_word_is_completed_by_what_may_stand_there() {
        assert_eq!(names(&["sta"]), ["status", ":4"]);
        let all = names(&[""]);
        assert!(all.contains(&"cost".to_owned()) && !all.contains(&"__complete".to_owned()));
        assert_eq!(names(&["search", "--type", ""]), [":4"]);
        assert_eq!(names(&["cost", "-o", ""]), ["table", "csv", "json", ":4"]);
        assert_eq!(names(&["cost", "--output=c"]), ["--output=csv", ":4"]);
        assert_eq!(names(&["cost", "--kubeconfig", ""]), [":0"]);
        let flags = names(&["why", "--as"]);
        assert_eq!(flags, ["--as", "--as-group", "--as-uid", ":4"]);
        assert_eq!(names(&["completion", "fi"]), ["fish", ":4"]);
        assert_eq!(names(&["status", "-A", "n"]), [":4"]);
        assert_eq!(names(&[]), names(&[""]));
    }

    #[test]
    fn names_of_objects_stand_where_an_argument_names_them() {
        let wanted = |words: &[&str]| objects(&whole(), words).map(|(wanted, _)| wanted);
        for (words, objects) in [
            (&["status"][..], Some(Objects::Numbers)),
            (&["why", "-n", "support"], Some(Objects::Numbers)),
            (&["why", "-n"], None),
            (&["status", "nyc"], None),
            (&["orphans"], Some(Objects::Accounts)),
            (&["search", "twilio"], Some(Objects::Accounts)),
            (&["import", "--out", "x"], Some(Objects::Accounts)),
            (&["completion"], None),
            (&["cost"], None),
            (&[], None),
        ] {
            assert_eq!(wanted(words), objects, "{words:?}");
        }
    }

    #[test]
    fn every_shell_has_a_script_that_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            let script = script(&Request { shell }).unwrap().output;
            assert!(script.contains("release-preview"), "{shell}");
        }
    }
}
