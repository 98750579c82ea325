//! The answer that says nothing more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A success that says nothing more: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}
