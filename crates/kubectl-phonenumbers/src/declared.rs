//! Which PhoneNumbers manifests declare: those in files, folders and standard input, in YAML and JSON. Objects of other kinds are
//! passed over.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use phonenumber_api::GROUP;
use serde_json::Value;
use telephony::number::Owner;

use super::error::Error;
use super::files::{Unreadable, texts};

/// Where manifests are.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Files {
    /// The objects that this file or folder declares, or - for standard input; may be repeated.
    #[arg(short = 'f', long = "filename", value_name = "PLACE", conflicts_with_all = ["all_namespaces", "selector"])]
    places: Vec<PathBuf>,

    /// Read the folders in a folder too.
    #[arg(short = 'R', long, requires = "places")]
    recursive: bool,
}

impl Files {
    /// True if none is named.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The PhoneNumbers that they declare; in `namespace` where a manifest names none.
    ///
    /// # Errors
    /// If a place cannot be read, or a document in it is not YAML.
    pub(super) fn phone_numbers(&self, namespace: &str) -> Result<BTreeSet<Owner>, Error> {
        let mut found = BTreeSet::new();
        for place in &self.places {
            let texts = texts(place, self.recursive).map_err(|unreadable| {
                let Unreadable { title, why } = unreadable;
                Error::Flag(format!(
                    "cannot read {title}: {why}. Name another place with -f"
                ))
            })?;
            for (title, text) in texts {
                let documents = serde_saphyr::from_multiple::<Value>(&text);
                let documents = documents.map_err(|error| {
                    let why = error.to_string();
                    let line = why.lines().next().unwrap_or_default();
                    Error::Flag(format!("{title} is not YAML: {line}"))
                })?;
                for document in &documents {
                    add(document, namespace, &mut found);
                }
            }
        }
        Ok(found)
    }
}

/// Adds `object` if it is a PhoneNumber, or those in it if it is a List.
fn add(object: &Value, namespace: &str, found: &mut BTreeSet<Owner>) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").unwrap_or_default();
    if kind.ends_with("List") {
        let items = object.get("items").and_then(Value::as_array);
        for item in items.into_iter().flatten() {
            add(item, namespace, found);
        }
    }
    let group = text("/apiVersion").and_then(|version| version.split('/').next());
    if let (Some(GROUP), "PhoneNumber", Some(name)) = (group, kind, text("/metadata/name")) {
        found.insert(Owner {
            namespace: text("/metadata/namespace").unwrap_or(namespace).to_owned(),
            name: name.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const NUMBER: &str = "apiVersion: telephony.burki.dev/v1alpha1\nkind: PhoneNumber\n";

    fn read(places: &[&Path], recursive: bool) -> Result<Vec<String>, String> {
        let places = places.iter().map(|place| place.to_path_buf()).collect();
        let files = Files { places, recursive };
        let found = files
            .phone_numbers("here")
            .map_err(|error| error.to_string())?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn phone_numbers_are_found_in_every_document_and_other_kinds_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let two = format!(
            "# two\n---\n{NUMBER}metadata: {{name: b}}\n---\nkind: Secret\napiVersion: v1\nmetadata: {{name: x}}\n\
             ---\n{NUMBER}metadata: {{name: a, namespace: there}}\n"
        );
        let file = write("two.yaml", &two);
        let list = r#"{"kind": "List", "apiVersion": "v1", "items": [{"kind": "PhoneNumber",
            "apiVersion": "telephony.burki.dev/v1alpha1", "metadata": {"name": "c"}}]}"#;
        write("list.json", list);
        write("deeper/d.yml", &format!("{NUMBER}metadata: {{name: d}}\n"));
        write("README.md", "not: [yaml");
        let here = folder.path();
        assert_eq!(read(&[&file], false).unwrap(), ["here/b", "there/a"]);
        let flat = ["here/b", "here/c", "there/a"];
        assert_eq!(read(&[here], false).unwrap(), flat);
        let deep = ["here/b", "here/c", "here/d", "there/a"];
        assert_eq!(read(&[here], true).unwrap(), deep);
        let broken = write("broken.yaml", "a: [b");
        let error = read(&[&broken], false).unwrap_err();
        assert!(error.contains("broken.yaml is not YAML"), "{error}");
        assert_eq!(error.lines().count(), 1);
        let error = read(&[&here.join("nosuch")], false).unwrap_err();
        assert!(error.contains("cannot read"), "{error}");
    }
}
