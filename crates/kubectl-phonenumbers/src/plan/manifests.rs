//! Manifests as people keep them: files, folders and standard input, in YAML and JSON. Only the kinds that a plan is about come
//! out of here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use phonenumber_api::GROUP;
use serde_json::Value;
use telephony::number::Owner;

use crate::error::Error;
use crate::files::{Unreadable, texts};

/// The kinds that a plan is about. Namespaces are read for their labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Namespace,
    ProviderAccount,
    ClusterProviderAccount,
    PhoneNumber,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Kind {
    /// The kind of `object`; `None` for one that a plan is not about.
    fn of(object: &Value) -> Option<Self> {
        let text = |field: &str| object.get(field).and_then(Value::as_str);
        let (version, kind) = (text("apiVersion")?, text("kind")?);
        let group = version.split_once('/').map_or("", |(group, _)| group);
        match (group, kind) {
            ("", "Namespace") => Some(Self::Namespace),
            (GROUP, "ProviderAccount") => Some(Self::ProviderAccount),
            (GROUP, "ClusterProviderAccount") => Some(Self::ClusterProviderAccount),
            (GROUP, "PhoneNumber") => Some(Self::PhoneNumber),
            _ => None,
        }
    }

    fn is_namespaced(self) -> bool {
        matches!(self, Self::ProviderAccount | Self::PhoneNumber)
    }
}

/// What names an object: its kind, its namespace (empty where it has none) and its name.
pub(super) type Key = (Kind, String, String);

/// The namespace and name in `key`.
pub(super) fn owner((_, namespace, name): &Key) -> Owner {
    Owner {
        namespace: namespace.clone(),
        name: name.clone(),
    }
}

/// An object with the place that it was read from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Manifest {
    /// The object, with its namespace filled in.
    pub(super) object: Value,
    /// The file and the document in it, for people.
    pub(super) place: String,
}

/// Where manifests are read from.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// A file, a folder, or `-` for standard input.
    pub(super) path: &'a Path,
    /// True: folders in folders are read too.
    pub(super) is_recursive: bool,
}

/// The objects in all `places` of the kinds that a plan is about. One without a namespace gets `namespace`.
///
/// # Errors
/// If a place cannot be read, a document is no object, or two of them are the same object.
pub(super) fn read(
    places: &[Place<'_>],
    namespace: &str,
) -> Result<BTreeMap<Key, Manifest>, Error> {
    let mut found = BTreeMap::new();
    for place in places {
        let texts = texts(place.path, place.is_recursive).map_err(|unreadable| {
            let Unreadable { title, why } = unreadable;
            Error::Manifest(format!("cannot read {title}: {why}"))
        })?;
        for (title, text) in texts {
            add(&mut found, &title, &text, namespace)?;
        }
    }
    Ok(found)
}

/// Adds the objects in `text`, which is called `title`.
fn add(
    found: &mut BTreeMap<Key, Manifest>,
    title: &str,
    text: &str,
    namespace: &str,
) -> Result<(), Error> {
    for (at, document) in documents(text).iter().enumerate() {
        let place = format!("{title}, document {}", at.saturating_add(1));
        let object: Value = serde_saphyr::from_str(document).map_err(|why| {
            let why = why.to_string();
            let line = why.lines().next().unwrap_or_default();
            let line = line.strip_prefix("error: ").unwrap_or(line);
            Error::Manifest(format!("{place} is not YAML: {line}"))
        })?;
        match object {
            Value::Null => {}
            object => add_object(found, object, &place, namespace)?,
        }
    }
    Ok(())
}

/// The documents of a stream. A line of three hyphens parts them.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        let rest = line.strip_prefix("---").map(str::trim_start);
        let parts = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'));
        match documents.last_mut() {
            Some(document) if !parts => {
                document.push_str(line);
                document.push('\n');
            }
            _ => documents.push(String::new()),
        }
    }
    let is_empty = |document: &String| {
        let mut lines = document.lines().map(str::trim_start);
        lines.all(|line| line.is_empty() || line.starts_with('#'))
    };
    documents.retain(|document| !is_empty(document));
    documents
}

fn add_object(
    found: &mut BTreeMap<Key, Manifest>,
    mut object: Value,
    place: &str,
    namespace: &str,
) -> Result<(), Error> {
    let wrong = |why: &str| Err(Error::Manifest(format!("{place} {why}")));
    let has_text = |field: &str| object.get(field).is_some_and(Value::is_string);
    if !has_text("apiVersion") || !has_text("kind") {
        return wrong("is no Kubernetes object: it lacks apiVersion or kind");
    }
    let is_list = object
        .get("kind")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.ends_with("List"));
    if is_list && let Some(items) = object.get_mut("items").map(Value::take) {
        let Value::Array(items) = items else {
            return wrong("is a list whose items are no list");
        };
        for (at, item) in items.into_iter().enumerate() {
            let place = format!("{place}, item {}", at.saturating_add(1));
            add_object(found, item, &place, namespace)?;
        }
        return Ok(());
    }
    let Some(kind) = Kind::of(&object) else {
        return Ok(());
    };
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let Some(name) = text("/metadata/name").map(str::to_owned) else {
        return wrong(&format!("is a {kind} without metadata.name"));
    };
    let namespace = match kind.is_namespaced() {
        true => text("/metadata/namespace")
            .filter(|it| !it.is_empty())
            .unwrap_or(namespace)
            .to_owned(),
        false => String::new(),
    };
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
        && kind.is_namespaced()
    {
        metadata.insert("namespace".to_owned(), Value::String(namespace.clone()));
    }
    let manifest = Manifest {
        object,
        place: place.to_owned(),
    };
    let key = (kind, namespace, name);
    if let Some(first) = found.get(&key) {
        let (kind, namespace, name) = &key;
        return wrong(&format!(
            "declares {kind} {namespace}/{name} again, which {} declares. Take one of them away",
            first.place
        ));
    }
    found.insert(key, manifest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        let mut found = BTreeMap::new();
        add(&mut found, "numbers.yaml", text, "here").unwrap();
        let key = |(kind, namespace, name): &Key| format!("{kind} {namespace}/{name}");
        found.keys().map(key).collect()
    }

    fn refused(text: &str) -> String {
        let mut found = BTreeMap::new();
        let error = add(&mut found, "numbers.yaml", text, "here").unwrap_err();
        error.to_string()
    }

    const NUMBER: &str =
        "apiVersion: telephony.burki.dev/v1alpha1\nkind: PhoneNumber\nmetadata: {name: NAME}\n";

    fn number(name: &str) -> String {
        NUMBER.replace("NAME", name)
    }

    #[test]
    fn streams_and_lists_are_unpacked_and_other_kinds_are_left_out() {
        let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
             "metadata": {"name": "b", "namespace": "there"}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}},
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}]}"#;
        let text = format!(
            "# nothing\n---\n{}---  # next\n\n---\n{list}\n--- \napiVersion: apps/v1\nkind: PhoneNumber\n",
            number("a")
        );
        assert_eq!(
            keys(&text),
            ["Namespace /n", "PhoneNumber here/a", "PhoneNumber there/b"]
        );
        assert!(keys("").is_empty());
    }

    #[test]
    fn a_namespace_is_filled_in_where_there_is_none() {
        let mut found = BTreeMap::new();
        add(&mut found, "f", &number("a"), "here").unwrap();
        let manifest = found.values().next().unwrap();
        assert_eq!(manifest.object["metadata"]["namespace"], "here");
    }

    #[test]
    fn what_is_broken_is_named_by_file_and_document() {
        let text = format!("{}---\na: [\n", number("a"));
        assert!(
            refused(&text).starts_with("numbers.yaml, document 2 is not YAML: "),
            "{}",
            refused(&text)
        );
        let twice = format!("{}---\n{}", number("a"), number("a"));
        assert_eq!(
            refused(&twice),
            "numbers.yaml, document 2 declares PhoneNumber here/a again, which numbers.yaml, document 1 declares. Take one of \
             them away"
        );
        assert!(refused("[1]").contains("is no Kubernetes object"));
        let nameless = NUMBER.replace("{name: NAME}", "{generateName: a-}");
        assert!(refused(&nameless).contains("document 1 is a PhoneNumber without metadata.name"));
    }

    #[test]
    fn a_folder_is_read_by_name_and_deeper_only_if_that_is_asked_for() {
        let folder = std::env::temp_dir().join(format!("manifests-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("deep")).unwrap();
        for (file, text) in [
            ("b.yml", number("b")),
            ("a.yaml", number("a")),
            ("kustomization.yaml", "resources: [a.yaml]".to_owned()),
            ("README.md", "---".to_owned()),
            ("deep/c.json", "{}".to_owned()),
            ("deep/d.yaml", number("d")),
        ] {
            std::fs::write(folder.join(file), text).unwrap();
        }
        let read = |is_recursive| {
            let place = Place {
                path: &folder,
                is_recursive,
            };
            super::read(&[place], "here")
        };
        let names: Vec<_> = read(false).unwrap().into_keys().map(|key| key.2).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(read(true).unwrap_err().to_string().contains("c.json"));
        std::fs::write(folder.join("deep/c.json"), "").unwrap();
        assert_eq!(read(true).unwrap().len(), 3);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(read(true).is_err());
    }
}
