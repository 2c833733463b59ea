//! The temporary folder of a control plane, which does not stay behind even if its process is killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

const FOLDER_PREFIX: &str = "phonenumber-control-plane-";

/// A temporary folder that goes away when dropped, and otherwise when the next control plane starts: the shared one is
/// never dropped, and a killed process drops nothing.
pub struct Folder {
    folder: TempDir,
    /// Locked for as long as this process lives.
    _held: File,
}

impl Folder {
    pub fn make() -> anyhow::Result<Self> {
        Self::remove_abandoned();
        let folder = tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir()?;
        // Locked before it bears its name, so that nobody finds it unlocked.
        let unnamed = folder.path().join("held.new");
        let held = File::create(&unnamed)?;
        held.lock()?;
        fs::rename(unnamed, folder.path().join("held"))?;
        Ok(Self {
            folder,
            _held: held,
        })
    }

    fn remove_abandoned() {
        for entry in fs::read_dir(std::env::temp_dir())
            .into_iter()
            .flatten()
            .flatten()
        {
            if !entry
                .file_name()
                .to_string_lossy()
                .starts_with(FOLDER_PREFIX)
            {
                continue;
            }
            if File::open(entry.path().join("held")).is_ok_and(|held| held.try_lock().is_ok()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
