//! PhoneNumber manifests that take over numbers which an account holds already, such that admission accepts them as they
//! are, whatever somebody once named the numbers; and how manifests are printed. Pure.

use std::collections::{HashMap, HashSet};

use kube::Resource;
use phonenumber_api::{AccountKind, AdoptionPolicy, GROUP, PhoneNumber};
use serde_json::{Value, json};
use telephony::number::{E164, Holding, Mark, Provider};
use telephony::shown::is_hidden;

use super::error::Error;

/// Twilio: what is left of the friendly name beside the mark, in bytes. The custom resource definition says so too.
const NAME_BYTES: usize = 36;

/// The longest friendly name that the custom resource definition allows, in characters.
const NAME_CHARS: usize = 64;

/// With a hyphen and the 15 digits of the longest number behind it, a name is a DNS label of at most 63 characters.
const STEM: usize = 63 - 1 - 15;

/// A name that no manifest gets: kustomize takes a file of this name for its own.
const NOT_A_NAME: &str = "kustomization";

/// Where manifests go and which account they name.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// The namespace of the PhoneNumbers.
    pub(super) namespace: String,
    /// The provider of the account.
    pub(super) provider: Provider,
    /// The kind of the account.
    pub(super) kind: AccountKind,
    /// Its name.
    pub(super) account: String,
}

/// A number that a manifest takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Takeover {
    /// The number.
    pub(super) number: E164,
    /// What people named it at the provider, perhaps with a mark; empty where that is not known.
    pub(super) marked_text: String,
}

impl From<&Holding> for Takeover {
    fn from(holding: &Holding) -> Self {
        Self {
            number: holding.number,
            marked_text: holding.marked_text.clone(),
        }
    }
}

/// A name for each of `found`, different from all others and from those that are `taken`: from its name at the provider,
/// and from the number where that says nothing or not enough.
fn names(found: &[Takeover], provider: Provider, taken: &HashSet<String>) -> Vec<String> {
    let stems: Vec<Option<String>> = found
        .iter()
        .map(|takeover| stem(takeover, provider))
        .collect();
    let mut times: HashMap<&str, usize> = HashMap::new();
    for stem in stems.iter().flatten() {
        *times.entry(stem).or_default() += 1;
    }
    let mut used = taken.clone();
    used.insert(NOT_A_NAME.to_owned());
    let mut names = Vec::new();
    for (takeover, stem) in found.iter().zip(&stems) {
        let digits = takeover.number.digits();
        let alone = stem
            .clone()
            .filter(|stem| times.get(stem.as_str()) == Some(&1));
        let whole = format!("{}-{digits}", stem.as_deref().unwrap_or("number"));
        let more = (2..).map(|count| format!("number-{digits}-{count}"));
        let mut candidates = alone.into_iter().chain([whole]).chain(more);
        if let Some(name) = candidates.find(|name| !used.contains(name)) {
            used.insert(name.clone());
            names.push(name);
        }
    }
    names
}

/// The name at the provider as a DNS label; `None` if it is only the number in another form, or has nothing that a label
/// may have.
fn stem(takeover: &Takeover, provider: Provider) -> Option<String> {
    let name = friendly_name(takeover, provider)?;
    if !name.chars().any(char::is_alphabetic) {
        return None;
    }
    let mut label = label(&name);
    label.truncate(STEM);
    let label = label.trim_end_matches('-');
    (!label.is_empty()).then(|| label.to_owned())
}

/// What of `text` a DNS label may have, however long; empty if that is nothing.
pub(super) fn label(text: &str) -> String {
    let mut label = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            label.push(c.to_ascii_lowercase());
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    label.trim_end_matches('-').to_owned()
}

/// The name at the provider without a mark, as far as `spec.friendlyName` may have it.
fn friendly_name(takeover: &Takeover, provider: Provider) -> Option<String> {
    let mut text = takeover.marked_text.clone();
    if let Some(mark) = Mark::find_in(&text) {
        // At Telnyx there is nothing but the mark, and perhaps the nonce of an order.
        let name = match provider {
            Provider::Twilio => text.split(&format!("[{mark}]")).next().map(str::to_owned),
            Provider::Telnyx => None,
        };
        text = name?;
    }
    let plain: String = text
        .chars()
        .map(|c| match c {
            '[' => '(',
            ']' => ')',
            c if is_hidden(c) => ' ',
            c => c,
        })
        .collect();
    // These begin marks.
    let plain = plain.replace("pn1.", "pn1-").replace("pa1.", "pa1-");
    let mut name: String = plain.trim().chars().take(NAME_CHARS).collect();
    if provider == Provider::Twilio {
        name.truncate(name.floor_char_boundary(NAME_BYTES));
    }
    let name = name.trim_end();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The manifests that take `found` over, as PhoneNumbers whose names are not `taken`.
pub(super) fn manifests(
    found: &[Takeover],
    to: &Destination,
    taken: &HashSet<String>,
) -> Vec<Value> {
    let names = names(found, to.provider, taken);
    let named = found.iter().zip(&names);
    named
        .map(|(takeover, name)| manifest(takeover, name, to))
        .collect()
}

/// The manifest that takes `takeover` over as the PhoneNumber `name`.
fn manifest(takeover: &Takeover, name: &str, to: &Destination) -> Value {
    let mut spec = json!({
        "phoneNumber": takeover.number,
        "adoptionPolicy": AdoptionPolicy::Adopt,
    });
    if let Some(name) = friendly_name(takeover, to.provider)
        && let Some(spec) = spec.as_object_mut()
    {
        spec.insert("friendlyName".to_owned(), json!(name));
    }
    object(name, to, spec)
}

/// The PhoneNumber `name` with this `spec`, which lacks the provider and the account.
pub(super) fn object(name: &str, to: &Destination, mut spec: Value) -> Value {
    let mut set = |field: &str, value: Value| {
        if let Some(spec) = spec.as_object_mut() {
            spec.insert(field.to_owned(), value);
        }
    };
    set("provider", json!(to.provider));
    let is_default =
        to.kind == AccountKind::ProviderAccount && to.account == to.provider.to_string();
    if !is_default {
        set("accountRef", json!({"kind": to.kind, "name": to.account}));
    }
    json!({
        "apiVersion": PhoneNumber::api_version(&()),
        "kind": PhoneNumber::kind(&()),
        "metadata": {"name": name, "namespace": to.namespace},
        "spec": spec,
    })
}

/// The names of the objects, as kubectl prints them.
pub(super) fn resource_names(manifests: &[Value]) -> Result<String, Error> {
    let names = manifests
        .iter()
        .filter_map(|manifest| manifest.pointer("/metadata/name")?.as_str());
    Ok(names
        .map(|name| format!("phonenumber.{GROUP}/{name}\n"))
        .collect())
}

/// The manifests as one YAML document each.
pub(super) fn yaml(manifests: &[Value]) -> Result<String, Error> {
    let mut text = String::new();
    for manifest in manifests {
        let document =
            serde_saphyr::to_string(manifest).map_err(|error| Error::unprintable(&error))?;
        text.push_str("---\n");
        text.push_str(&document);
    }
    Ok(text)
}

/// The manifests as one List, as kubectl prints it.
pub(super) fn list(manifests: &[Value]) -> Result<String, Error> {
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": manifests});
    let text = serde_json::to_string_pretty(&list).map_err(|error| Error::unprintable(&error))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests;
