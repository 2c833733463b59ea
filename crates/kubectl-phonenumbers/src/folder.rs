//! Files of an answer, written to a new folder or into a new tar archive on this machine. Nothing that is there is written over.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::error::Error;

/// A name without folders, and a text.
pub(super) type TextFile = (String, String);

/// Writes `files` into the folder `path`, which does not exist or is empty.
///
/// # Errors
/// If the folder holds something, or cannot be written.
pub(super) fn write_folder(path: &Path, files: &[TextFile]) -> Result<(), Error> {
    check_empty(path)?;
    let write = || -> io::Result<()> {
        fs::create_dir_all(path)?;
        for (name, text) in files {
            let mut file = File::create_new(path.join(name))?;
            file.write_all(text.as_bytes())?;
        }
        Ok(())
    };
    write().map_err(|error| unwritable(path, &error))
}

/// Writes `files` into a new tar archive at `path`, in a folder called `folder`.
///
/// # Errors
/// If the file exists, or cannot be written.
pub(super) fn write_archive(path: &Path, folder: &str, files: &[TextFile]) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let mut archive = tar::Builder::new(File::create_new(path)?);
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(u64::try_from(text.len()).map_err(io::Error::other)?);
            header.set_mode(0o644);
            let name = format!("{folder}/{name}");
            archive.append_data(&mut header, name, text.as_bytes())?;
        }
        archive.into_inner()?.sync_all()
    };
    write().map_err(|error| unwritable(path, &error))
}

/// Refuses a folder that holds something, so that nothing is mixed with what was there.
pub(super) fn check_empty(path: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unwritable(path, &error)),
    };
    match entries.count() {
        0 => Ok(()),
        _ => Err(Error::Flag(format!(
            "{} is not empty: name a folder that is, or that does not exist",
            path.display()
        ))),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::Flag(format!(
        "cannot write {}: {error}. Name another place with --out",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn files() -> Vec<TextFile> {
        vec![
            ("a.yaml".into(), "a: 1\n".into()),
            ("b.txt".into(), String::new()),
        ]
    }

    #[test]
    fn a_folder_is_written_once_and_never_mixed() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("new/deeper");
        write_folder(&folder, &files()).unwrap();
        assert_eq!(fs::read_to_string(folder.join("a.yaml")).unwrap(), "a: 1\n");
        let again = write_folder(&folder, &files()).unwrap_err().to_string();
        assert!(again.contains("is not empty"), "{again}");
        let empty = place.path().join("empty");
        fs::create_dir(&empty).unwrap();
        write_folder(&empty, &files()).unwrap();
        let no_folder = folder.join("a.yaml");
        assert!(write_folder(&no_folder, &files()).is_err());
    }

    #[test]
    fn an_archive_has_every_file_and_replaces_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.tar");
        write_archive(&path, "report", &files()).unwrap();
        let mut archive = tar::Archive::new(File::open(&path).unwrap());
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.push((entry.path().unwrap().display().to_string(), text));
        }
        let wanted = files().into_iter();
        let wanted: Vec<_> = wanted
            .map(|(name, text)| (format!("report/{name}"), text))
            .collect();
        assert_eq!(found, wanted);
        assert!(write_archive(&path, "report", &files()).is_err());
    }
}
