//! A whole account as a folder: a manifest for each number that no PhoneNumber holds, and a file that says how to go back. Writes on
//! this machine alone.

mod found;
mod rollback;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use clap::Args;
use phonenumber_api::Adoption;
use serde_json::{Value, json};
use telephony::number::E164;

use super::Answer;
use super::account::{AccountName, DeclaredAccount};
use super::cluster::Cluster;
use super::error::Error;
use super::folder::{TextFile, check_empty, write_folder};
use super::scope::Reach;
use super::unheld::List;
use super::{inventory, manifest};
use found::Found;

/// The file that says how to go back.
const ROLLBACK: &str = "ROLLBACK.md";

/// The largest id of an assistant that a manifest may have.
const MOST_ASSISTANT: i64 = 9_007_199_254_740_991;

/// What a person asks for.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// The account: the name of a ProviderAccount of the namespace, or clusterprovideraccount/NAME.
    #[arg(value_name = "ACCOUNT")]
    account: AccountName,

    /// The folder to write: one that is empty, or does not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Write a kustomization.yaml too.
    #[arg(long)]
    kustomize: bool,

    /// A YAML file with the Burki assistant of each number, such as "+12125551234": 101.
    #[arg(long, value_name = "FILE")]
    assistant_map: Option<PathBuf>,

    /// Ask the provider, with the account's Secret. Without it the numbers are those in the status of the account, at most 100
    /// unmanaged and 100 orphaned ones, without their names and what answers them.
    #[arg(long)]
    live: bool,

    /// With --live: the id of the installation, as the operator has it. Default: the UID of the namespace kube-system.
    #[arg(long, env = "PHONENUMBER_INSTALLATION_ID", value_name = "ID")]
    installation_id: Option<String>,

    #[command(flatten)]
    reach: Reach,
}

pub(super) async fn import(request: Request) -> Result<Answer, Error> {
    check_empty(&request.out)?;
    let assistants = request.assistant_map.as_deref().map(read_assistants);
    let mut assistants = assistants.transpose()?.unwrap_or_default();
    let endpoints = request.reach.endpoints()?;
    let cluster = Cluster::open(request.reach.connection).await?;
    let AccountName { kind, name } = request.account;
    let kind = kind.unwrap_or_default();
    let account =
        DeclaredAccount::read(kind, &name, &request.reach.operator_namespace, &cluster).await?;
    let mut answer = Answer::default();
    let (found, known) = match request.live {
        true => {
            let id = request.installation_id;
            found::live(&account, &cluster, endpoints, id, &mut answer.notes).await?
        }
        false => {
            let found = found::in_status(&account, &mut answer.notes)?;
            (found, cluster.phone_numbers_here().await?)
        }
    };
    let to = inventory::destination(&cluster, &account);
    let takeovers = found.iter().map(|it| it.takeover.clone()).collect();
    let mut manifests = inventory::manifests(takeovers, &to, &known, &mut answer.notes);
    let title = account.title();
    if manifests.is_empty() {
        answer.notes.push(format!(
            "No unmanaged or orphaned numbers found in {title}: nothing is written."
        ));
        return Ok(answer);
    }
    for manifest in &mut manifests {
        assign(manifest, &mut assistants);
    }
    for number in assistants.keys() {
        answer.notes.push(format!(
            "warning: {number} of the assistant map is none of the numbers that were found in {title}"
        ));
    }
    let by_number: HashMap<String, &Found> = found
        .iter()
        .map(|found| (found.takeover.number.to_string(), found))
        .collect();
    let rows = rows(&manifests, &by_number);
    answer.notes.extend(warnings(&account, &rows));
    let files = files(&manifests, &rows, &title, request.kustomize)?;
    write_folder(&request.out, &files)?;
    answer.notes.push(format!(
        "Wrote {} manifests to {}. {ROLLBACK} there says how to go back.",
        manifests.len(),
        request.out.display()
    ));
    Ok(answer)
}

/// What a person should know who applies the manifests.
fn warnings(account: &DeclaredAccount, rows: &[(&str, &Found)]) -> Vec<String> {
    let mut warnings = Vec::new();
    let has_orphans = rows.iter().any(|(_, found)| found.list == List::Orphaned);
    let needed = match has_orphans {
        true => Adoption::Orphans,
        false => Adoption::Unmarked,
    };
    if account.adoption() < needed {
        warnings.push(format!(
            "warning: {} does not let all of these numbers be taken over. Set limits.adoption: {needed:?} before you apply the manifests",
            account.title()
        ));
    }
    if has_orphans {
        warnings.extend(inventory::former_names(account));
    }
    warnings
}

/// The assistants by number, as the file at `path` says.
fn read_assistants(path: &Path) -> Result<BTreeMap<E164, i64>, Error> {
    let wrong = |why: String| Error::Flag(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let map: BTreeMap<String, i64> = serde_saphyr::from_str(&text).map_err(|error| {
        let why = error.to_string();
        let line = why.lines().next().unwrap_or_default();
        wrong(format!(
            "it is not a YAML map of numbers to assistants: {line}"
        ))
    })?;
    let mut assistants = BTreeMap::new();
    for (number, assistant) in map {
        let number: E164 = number
            .parse()
            .map_err(|error: telephony::number::Malformed| wrong(error.to_string()))?;
        if !(1..=MOST_ASSISTANT).contains(&assistant) {
            return Err(wrong(format!("{assistant} is not the id of an assistant")));
        }
        assistants.insert(number, assistant);
    }
    Ok(assistants)
}

/// Sets the assistant of the number, and takes it out of `assistants`.
fn assign(manifest: &mut Value, assistants: &mut BTreeMap<E164, i64>) {
    let number = number_of(manifest).and_then(|number| number.parse().ok());
    let assistant = number.and_then(|number: E164| assistants.remove(&number));
    let spec = manifest.get_mut("spec").and_then(Value::as_object_mut);
    if let (Some(spec), Some(assistant)) = (spec, assistant) {
        spec.insert("assistantId".to_owned(), json!(assistant));
    }
}

fn number_of(manifest: &Value) -> Option<&str> {
    manifest.pointer("/spec/phoneNumber")?.as_str()
}

/// The name of each manifest, with what it takes over.
fn rows<'a>(
    manifests: &'a [Value],
    by_number: &HashMap<String, &'a Found>,
) -> Vec<(&'a str, &'a Found)> {
    let row = |manifest: &'a Value| {
        let found = by_number.get(number_of(manifest)?)?;
        Some((name_of(manifest), *found))
    };
    manifests.iter().filter_map(row).collect()
}

fn name_of(manifest: &Value) -> &str {
    let name = manifest.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// A file for each manifest, and those that go with them.
fn files(
    manifests: &[Value],
    rows: &[(&str, &Found)],
    title: &str,
    is_kustomized: bool,
) -> Result<Vec<TextFile>, Error> {
    let mut files = Vec::new();
    for manifest in manifests {
        let text = manifest::yaml(std::slice::from_ref(manifest))?;
        files.push((format!("{}.yaml", name_of(manifest)), text));
    }
    if is_kustomized {
        let resources: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let kustomization = json!({"apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization", "resources": resources});
        let text = manifest::yaml(&[kustomization])?;
        files.push(("kustomization.yaml".to_owned(), text));
    }
    let text = rollback::page(title, rows, is_kustomized);
    files.push((ROLLBACK.to_owned(), text));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Takeover;

    fn found(number: &str, before: Option<[&str; 3]>) -> Found {
        Found {
            takeover: Takeover {
                number: number.parse().unwrap(),
                marked_text: String::new(),
            },
            id: "PN1".to_owned(),
            list: List::Unmanaged,
            before: before.map(|it| it.map(str::to_owned)),
        }
    }

    fn manifest(name: &str, number: &str) -> Value {
        json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
            "metadata": {"name": name}, "spec": {"phoneNumber": number}})
    }

    #[test]
    fn each_number_has_its_file_and_the_page_has_what_was_there_before() {
        let numbers = ["+12125550100", "+12125550101"];
        let before = ["NYC | [x]", "https://old.example.com/a?…", "<none>"];
        let found = [found(numbers[0], Some(before)), found(numbers[1], None)];
        let by_number = found.iter().map(|it| (it.takeover.number.to_string(), it));
        let by_number = by_number.collect();
        let made = [manifest("nyc", numbers[0]), manifest("la", numbers[1])];
        let rows = rows(&made, &by_number);
        let written = files(&made, &rows, "ProviderAccount a/b", true).unwrap();
        let names: Vec<_> = written.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["nyc.yaml", "la.yaml", "kustomization.yaml", "ROLLBACK.md"]
        );
        let kustomization: Value =
            serde_saphyr::from_str(written[2].1.trim_start_matches("---\n")).unwrap();
        assert_eq!(kustomization["resources"], json!(["nyc.yaml", "la.yaml"]));
        let page = &written[3].1;
        let row = r"| nyc | +12125550100 | PN1 | NYC \| [x] | https://old.example.com/a?… | &lt;none&gt; |";
        assert!(page.contains(row), "{page}");
        let row =
            r"| la | +12125550101 | PN1 | &lt;unknown&gt; | &lt;unknown&gt; | &lt;unknown&gt; |";
        assert!(page.contains(row) && page.contains("--live"), "{page}");
        let plain = files(&made, &rows[..1], "a", false).unwrap();
        assert!(!plain[2].1.contains("--live"), "{plain:?}");
        assert_eq!(plain.len(), 3);
    }

    #[test]
    fn an_assistant_is_set_where_the_map_names_the_number() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("map.yaml");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read_assistants(&file)
        };
        let mut map = read("\"+12125550100\": 101\n\"+12125550199\": 7\n").unwrap();
        let mut made = manifest("nyc", "+12125550100");
        assign(&mut made, &mut map);
        assert_eq!(made["spec"]["assistantId"], 101);
        let mut other = manifest("la", "+12125550101");
        assign(&mut other, &mut map);
        assert_eq!(other["spec"].get("assistantId"), None);
        assert_eq!(map.len(), 1, "one names no number that is there");
        for wrong in [
            "- a",
            "\"nyc\": 1",
            "\"+12125550100\": 0",
            "\"+12125550100\": x",
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(
                error.contains("map.yaml: ") && error.lines().count() == 1,
                "{error}"
            );
        }
        assert!(read_assistants(Path::new("/nonexistent")).is_err());
    }
}
