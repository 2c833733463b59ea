//! What is wanted of the messages of a number.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is wanted of the messages of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Messaging {
    /// A number that cannot text is not bought, and Ready waits until messages get through.
    Required,
    /// Messages are set up as far as the number can take them. Whether they get through changes nothing but a condition.
    #[default]
    BestEffort,
    /// Nothing that concerns messages is set or compared.
    None,
}
