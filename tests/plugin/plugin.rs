//! Runs `kubectl phonenumbers`, as a person does.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use test_support::control_plane::ControlPlane;
use test_support::emulator::Emulator;
use test_support::kubectl::{kubectl, kubectl_with};
use test_support::world::World;
use test_support::{program, root};

/// What came of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub output: String,
    pub error: String,
}

impl Ran {
    /// What it printed, if it worked.
    pub fn worked(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.output
    }

    /// The one line that says why it did not work.
    pub fn failed(self) -> String {
        assert_eq!((self.code, self.output.as_str()), (1, ""), "{self:?}");
        assert_eq!(self.error.lines().count(), 1, "{self:?}");
        let line = self.error.trim_end();
        let line = line.strip_prefix("error: ");
        line.unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }

    /// The cells of each line of a table.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let cells = |line: &str| {
            let cells = line.split("   ").map(str::trim);
            cells
                .filter(|cell| !cell.is_empty())
                .map(str::to_owned)
                .collect()
        };
        self.output.lines().map(cells).collect()
    }
}

/// kubectl with the plugin on the PATH, and the emulator in the provider's place.
pub fn kubectl_with_plugin(plane: &ControlPlane, emulator: &Emulator) -> Command {
    let plugin = program("kubectl-phonenumbers");
    let folder = plugin.parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    // What completes the plugin is beside it in a release.
    let folders = [folder, root().join("crates/kubectl-phonenumbers")];
    let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&path)));
    let endpoints = format!("twilio={},telnyx={}", emulator.twilio, emulator.telnyx);
    let mut command = plane.kubectl();
    command
        .env("PATH", path.unwrap())
        .env("PHONENUMBER_PROVIDER_ENDPOINT", endpoints)
        .stdin(Stdio::null());
    command
}

/// Runs `kubectl phonenumbers` with these arguments, as the administrator.
pub fn phonenumbers(plane: &ControlPlane, emulator: &Emulator, arguments: &[&str]) -> Ran {
    phonenumbers_as(&plane.kubeconfig_for_admin(), plane, emulator, arguments)
}

/// The same, as somebody else.
pub fn phonenumbers_as(
    kubeconfig: &Path,
    plane: &ControlPlane,
    emulator: &Emulator,
    arguments: &[&str],
) -> Ran {
    let mut command = kubectl_with_plugin(plane, emulator);
    command.env("KUBECONFIG", kubeconfig).arg("phonenumbers");
    ran(command.args(arguments))
}

/// Runs a command to its end.
pub fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        output: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `kubectl apply -f -` with `manifests` on its standard input. Returns what it says.
pub fn apply(plane: &ControlPlane, manifests: &str) -> String {
    kubectl_with(plane, &["apply", "--validate=strict", "-f", "-"], manifests)
}

/// Orphans the number of `name`, which is to be retained, has somebody buy `by_hand` at Twilio, and waits until the account lists both.
pub async fn leave_unheld(world: &World, name: &str, by_hand: &str) {
    world.delete(name).await;
    world.until_gone(name).await;
    world.bought_by_somebody_else("twilio", by_hand).await;
    world
        .until_account("twilio", |account| {
            let status = &account["status"];
            status["orphaned"] == 1 && status["unmanaged"] == 1
        })
        .await;
}

/// The kubeconfig of a ServiceAccount of this namespace that may do what `rules` say, each a list of verbs and of
/// resources, in this namespace; `cluster_rules` hold everywhere.
pub async fn user(
    plane: &ControlPlane,
    namespace: &str,
    name: &str,
    rules: &[(&str, &str)],
    cluster_rules: &[(&str, &str)],
) -> PathBuf {
    kubectl(plane, &["create", "serviceaccount", name, "-n", namespace]);
    let account = format!("--serviceaccount={namespace}:{name}");
    for (at, (verbs, resources)) in rules.iter().enumerate() {
        let role = format!("{name}-{at}");
        let (verbs, resources) = (format!("--verb={verbs}"), format!("--resource={resources}"));
        kubectl(
            plane,
            &["create", "role", &role, &verbs, &resources, "-n", namespace],
        );
        let of_role = format!("--role={role}");
        kubectl(
            plane,
            &[
                "create",
                "rolebinding",
                &role,
                &of_role,
                &account,
                "-n",
                namespace,
            ],
        );
    }
    for (at, (verbs, resources)) in cluster_rules.iter().enumerate() {
        let role = format!("{namespace}-{name}-{at}");
        let (verbs, resources) = (format!("--verb={verbs}"), format!("--resource={resources}"));
        kubectl(plane, &["create", "clusterrole", &role, &verbs, &resources]);
        let of_role = format!("--clusterrole={role}");
        kubectl(
            plane,
            &["create", "clusterrolebinding", &role, &of_role, &account],
        );
    }
    plane
        .kubeconfig_for_service_account(namespace, name)
        .await
        .unwrap()
}
