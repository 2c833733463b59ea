//! The chart of a release, installed from a registry.

use std::env;

use test_support::control_plane::ControlPlane;
use test_support::kubectl::{OPERATOR_NAMESPACE, kubectl};

use crate::office::{RELEASE, get, helm_on};

/// What `release/rehearse` says about the release that it made.
fn told(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("release/rehearse sets {name}"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the files of a release: release/rehearse serves them and runs this"]
async fn a_release_installs_from_a_registry_with_the_image_that_was_built() {
    let (chart, version) = (told("RELEASE_CHART"), told("RELEASE_VERSION"));
    let (image, manifests) = (told("RELEASE_IMAGE"), told("RELEASE_MANIFESTS"));
    let plane = ControlPlane::start().await.unwrap();
    let place = [&chart, "--version", &version, "--plain-http"];
    let install = [&["install", RELEASE][..], &place, &["--create-namespace"]].concat();
    let rendered = helm_on(&plane, &[&install[..], &["--dry-run=server"]].concat()).unwrap();
    assert!(
        rendered.contains(&format!("image: \"{image}\"")),
        "{rendered}"
    );
    let deployment = ["deployment", RELEASE, "-n", OPERATOR_NAMESPACE];
    assert!(
        get(&plane, &deployment).is_null(),
        "a dry run leaves nothing"
    );

    helm_on(&plane, &install).unwrap();
    let installed = get(&plane, &deployment);
    let container = &installed["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], image);

    // And without Helm.
    let plane = ControlPlane::start().await.unwrap();
    kubectl(&plane, &["apply", "--server-side", "-f", &manifests]);
    let applied = get(&plane, &deployment);
    assert_eq!(
        applied["spec"]["template"]["spec"]["containers"][0]["image"],
        image
    );
}
