//! kubectl as the administrator of a control plane.

use crate::command::{Printed, run, run_with};
use crate::control_plane::ControlPlane;

/// The namespace that `config/install.yaml` installs into.
pub const OPERATOR_NAMESPACE: &str = "phonenumber-operator-system";

/// Who the operator is to the API server.
pub const OPERATOR_USER: &str =
    "system:serviceaccount:phonenumber-operator-system:phonenumber-operator";

/// Runs kubectl, and returns what it prints.
///
/// # Panics
/// If it fails, with its complaints.
pub fn kubectl(plane: &ControlPlane, arguments: &[&str]) -> String {
    kubectl_with(plane, arguments, "")
}

/// The same, with this text for `-f -`.
///
/// # Panics
/// If it fails, with its complaints.
pub fn kubectl_with(plane: &ControlPlane, arguments: &[&str], text: &str) -> String {
    let printed = try_kubectl_with(plane, arguments, text);
    printed.unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}\n{text}"))
}

/// Runs kubectl where it may fail.
pub fn try_kubectl(plane: &ControlPlane, arguments: &[&str]) -> Printed {
    run(plane.kubectl().args(arguments))
}

/// The same, with this text for `-f -`.
pub fn try_kubectl_with(plane: &ControlPlane, arguments: &[&str], text: &str) -> Printed {
    run_with(plane.kubectl().args(arguments), text)
}

/// Applies `config/install.yaml`, and waits until its kinds are known.
pub fn install(plane: &ControlPlane) {
    let file = "config/install.yaml";
    kubectl(plane, &["apply", "--server-side", "-f", file]);
    until_kinds_are_known(plane);
}

/// Waits until the API server knows the kinds of the operator.
pub fn until_kinds_are_known(plane: &ControlPlane) {
    let selector = "app.kubernetes.io/name=phonenumber-operator";
    let established = "--for=condition=Established";
    kubectl(
        plane,
        &["wait", established, "--timeout=60s", "crd", "-l", selector],
    );
}
