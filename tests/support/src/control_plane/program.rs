//! The programs of a control plane: found or built, started, and ended together with this process. Knows nothing of
//! Kubernetes.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail, ensure};

use super::folder::Folder;
use crate::root;

/// The folder with the programs, and whether they end with their parent by themselves.
#[derive(Clone)]
pub struct Programs {
    folder: PathBuf,
    watch_their_parent: bool,
    pub kubectl: PathBuf,
}

impl Programs {
    pub async fn find_or_build() -> anyhow::Result<Self> {
        let Some(assets) =
            std::env::var_os("KUBEBUILDER_ASSETS").filter(|assets| !assets.is_empty())
        else {
            let folder = build(&["etcd", "kube-apiserver", "kubectl"]).await?;
            return Ok(Self {
                kubectl: folder.join("kubectl"),
                folder,
                watch_their_parent: true,
            });
        };
        let folder = build(&["etcd", "kube-apiserver"]).await?;
        let beside = Path::new(&assets).join("kubectl");
        let kubectl = if beside.exists() {
            beside
        } else {
            PathBuf::from("kubectl")
        };
        Ok(Self {
            folder,
            watch_their_parent: false,
            kubectl,
        })
    }

    /// Starts a program that ends with this process. Its output is added to a log in the folder.
    pub fn run(&self, name: &str, folder: &Folder, flags: &[String]) -> anyhow::Result<Program> {
        let log = folder.file(&format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let path = self.folder.join(name);
        let mut command = if self.watch_their_parent {
            let mut command = Command::new(path);
            command.env("PARENT_PIPE", "1");
            command
        } else {
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", END_WITH_STANDARD_INPUT, "sh"])
                .arg(path);
            command
        };
        let child = command
            .args(flags)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Interrupts from the terminal reach this process alone, which decides about the others.
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        Ok(Program {
            name: name.to_owned(),
            child: Mutex::new(child),
            log,
            wrapped: !self.watch_their_parent,
        })
    }
}

/// Runs a program and kills it at the end of standard input; ends also when the program does. For programs that were not
/// built here. The parent-death signal of Linux will not do: it fires when the *thread* that started the program ends,
/// and each test is a thread.
const END_WITH_STANDARD_INPUT: &str = r#"
    exec 3<&0
    "$@" 3<&- </dev/null & program=$!
    { cat <&3 >/dev/null; kill -9 $program; } & watch=$!
    wait $program
    kill $watch
"#;

/// A running program, killed when dropped.
pub struct Program {
    name: String,
    child: Mutex<Child>,
    log: PathBuf,
    wrapped: bool,
}

impl Program {
    pub fn id(&self) -> u32 {
        lock(&self.child).id()
    }

    pub fn ensure_running(&self) -> anyhow::Result<()> {
        let ended: Option<ExitStatus> = lock(&self.child).try_wait()?;
        if let Some(status) = ended {
            bail!("{} ended with {status}: {}", self.name, self.log_end());
        }
        Ok(())
    }

    pub fn log_end(&self) -> String {
        const LINES: usize = 30;
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let skipped = lines.len().saturating_sub(LINES);
        lines
            .into_iter()
            .skip(skipped)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        if self.wrapped {
            // The shell around the program kills it now.
            drop(child.stdin.take());
        } else {
            let _ = child.kill();
        }
        let _ = child.wait();
    }
}

/// The folder that holds these programs, built if need be.
pub async fn build(programs: &[&str]) -> anyhow::Result<PathBuf> {
    let script = root().join("tests/control-plane/build");
    let output = tokio::process::Command::new(&script)
        .args(programs)
        .stdin(Stdio::null())
        // Progress and errors are for the user.
        .stderr(Stdio::inherit())
        .output()
        .await
        .with_context(|| format!("{} cannot be run", script.display()))?;
    ensure!(
        output.status.success(),
        "{} {} failed: its messages are on standard error",
        script.display(),
        programs.join(" ")
    );
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}

/// The value behind a mutex, also after a test that held it has failed.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
