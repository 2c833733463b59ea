//! The texts of manifests: those of files, of folders and of standard input. What is in them is not looked at.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A place that cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// What it is called.
    pub(super) title: String,
    /// Why.
    pub(super) why: io::Error,
}

/// The texts in `place`, a file, a folder or - for standard input, each with what it is called. Those of a folder come by name, also
/// those in its folders if `is_recursive`. A kustomization is no manifest: what it builds is read from standard input.
///
/// # Errors
/// If the place, or a file in it, cannot be read.
pub(super) fn texts(place: &Path, is_recursive: bool) -> Result<Vec<(String, String)>, Unreadable> {
    if place == Path::new("-") {
        let title = "standard input".to_owned();
        let mut text = String::new();
        return match io::stdin().read_to_string(&mut text) {
            Ok(_) => Ok(vec![(title, text)]),
            Err(why) => Err(Unreadable { title, why }),
        };
    }
    let unreadable = |path: &Path, why| {
        let title = path.display().to_string();
        Unreadable { title, why }
    };
    let mut files = Vec::new();
    if place.is_dir() {
        collect(place, is_recursive, &mut files).map_err(|why| unreadable(place, why))?;
    } else {
        files.push(place.to_owned());
    }
    let mut texts = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|why| unreadable(&file, why))?;
        texts.push((file.display().to_string(), text));
    }
    Ok(texts)
}

fn collect(folder: &Path, is_recursive: bool, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in folder.read_dir()? {
        entries.push(entry?.path());
    }
    entries.sort();
    for path in entries {
        let is_manifest = path
            .extension()
            .is_some_and(|it| it == "yaml" || it == "yml" || it == "json");
        let is_kustomization = path.file_stem().is_some_and(|it| it == "kustomization");
        if path.is_dir() {
            if is_recursive {
                collect(&path, is_recursive, files)?;
            }
        } else if is_manifest && !is_kustomization {
            files.push(path);
        }
    }
    Ok(())
}
