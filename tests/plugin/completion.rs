//! kubectl completes the plugin's commands by itself.

use test_support::control_plane::ControlPlane;
use test_support::world::World;

use crate::plugin::{kubectl_with_plugin, ran};

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_completes_commands_flags_and_values() {
    let plane = ControlPlane::shared().await;
    let world = World::new("completed").await;
    let ask = |words: &[&str]| {
        let mut command = kubectl_with_plugin(plane, &world.emulator);
        let text = ran(command.args(["__complete", "phonenumbers"]).args(words)).worked();
        let words = text
            .lines()
            .map(|line| line.split('\t').next().unwrap().to_owned());
        words.collect::<Vec<_>>()
    };
    assert_eq!(ask(&["sta"]), ["status", ":4"]);
    assert_eq!(ask(&["cost", "-o", ""]), ["table", "csv", "json", ":4"]);
    let own = ["search", "-n", &world.namespace, "t"];
    assert_eq!(ask(&own), ["telnyx", "twilio", ":4"]);
    assert_eq!(ask(&["why", "-n", &world.namespace, "t"]), [":4"]);
    assert_eq!(ask(&["why", "--as-g"]), ["--as-group", ":4"]);
}
