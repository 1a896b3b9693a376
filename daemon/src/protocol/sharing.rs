//! JSON of adapters that others shared: what a folder offers, and what was taken in. Fields may be added, never renamed.

use super::packages::PluginAuthor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InspectShared {
    /// The folder that was shared, absolute.
    pub folder: String,
    /// What it is to be called here; its author's name for it when absent.
    #[serde(default)]
    pub name: Option<String>,
}

/// What a folder holds, checked, before the owner says yes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SharedOffer {
    pub name: String,
    pub author: PluginAuthor,
    /// Something of this author's was taken in before.
    pub known: bool,
    /// The model that it belongs to, which answers here.
    pub model: String,
    pub rank: u64,
    pub parameters: u64,
    /// BLAKE3 of the manifest in hex: what a yes is bound to.
    pub digest: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeShared {
    pub folder: String,
    #[serde(default)]
    pub name: Option<String>,
    /// The offer's, so that nothing else is taken than what was shown.
    pub digest: String,
    /// How much it counts beside what was learned here; half when absent.
    #[serde(default)]
    pub scale: Option<f32>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SharedList {
    pub shared: Vec<SharedAdapter>,
}

/// An adapter of somebody else's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SharedAdapter {
    pub name: String,
    pub author: PluginAuthor,
    pub model: String,
    /// BLAKE3 of that model's file in hex.
    pub base: String,
    /// BLAKE3 of the adapter's file in hex.
    pub digest: String,
    pub scale: f32,
    /// Seconds since 1970.
    pub taken: i64,
    /// It has a part in answers now.
    pub in_use: bool,
}
