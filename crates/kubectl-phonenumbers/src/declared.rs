//! Which PhoneNumbers manifests declare: those in files, folders and standard input, in YAML and JSON. Objects of other kinds are
//! passed over.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use phonenumber_api::GROUP;
use serde_json::Value;
use telephony::number::Owner;

use super::error::Error;

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
            for (title, text) in texts(place, self.recursive)? {
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

/// The texts in `place`, each with what it is called.
fn texts(place: &Path, is_recursive: bool) -> Result<Vec<(String, String)>, Error> {
    let unreadable = |what: &str, error: &io::Error| {
        Error::Flag(format!(
            "cannot read {what}: {error}. Name another place with -f"
        ))
    };
    if place == Path::new("-") {
        let title = "standard input".to_owned();
        let mut text = String::new();
        let read = io::stdin().read_to_string(&mut text);
        read.map_err(|error| unreadable(&title, &error))?;
        return Ok(vec![(title, text)]);
    }
    let mut files = Vec::new();
    let title = place.display().to_string();
    match place.is_dir() {
        true => {
            collect(place, is_recursive, &mut files).map_err(|error| unreadable(&title, &error))?
        }
        false => files.push(place.to_owned()),
    }
    let mut texts = Vec::new();
    for file in files {
        let title = file.display().to_string();
        let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&title, &error))?;
        texts.push((title, text));
    }
    Ok(texts)
}

/// The manifests in `folder`, by name.
fn collect(folder: &Path, is_recursive: bool, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in folder.read_dir()? {
        entries.push(entry?.path());
    }
    entries.sort();
    for path in entries {
        let extension = path.extension();
        let is_manifest = extension.is_some_and(|it| it == "yaml" || it == "yml" || it == "json");
        if path.is_dir() && is_recursive {
            collect(&path, is_recursive, files)?;
        } else if path.is_file() && is_manifest {
            files.push(path);
        }
    }
    Ok(())
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
