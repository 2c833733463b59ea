//! The least manifest of each kind and provider that is accepted, and changes to it.

use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    PhoneNumber,
    ProviderAccount,
    ClusterProviderAccount,
}

impl Kind {
    pub const ALL: [Self; 3] = [
        Self::PhoneNumber,
        Self::ProviderAccount,
        Self::ClusterProviderAccount,
    ];
    pub const ACCOUNTS: [Self; 2] = [Self::ProviderAccount, Self::ClusterProviderAccount];

    pub fn of(manifest: &Value) -> Self {
        let kind = manifest["kind"].as_str().unwrap();
        Self::ALL
            .into_iter()
            .find(|known| known.name() == kind)
            .unwrap()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::PhoneNumber => "PhoneNumber",
            Self::ProviderAccount => "ProviderAccount",
            Self::ClusterProviderAccount => "ClusterProviderAccount",
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Self::PhoneNumber => "phonenumbers",
            Self::ProviderAccount => "provideraccounts",
            Self::ClusterProviderAccount => "clusterprovideraccounts",
        }
    }

    /// Where the API server has the objects of this kind.
    pub fn path(self, namespace: &str) -> String {
        let group = "/apis/telephony.burki.dev/v1alpha1";
        match self {
            Self::ClusterProviderAccount => format!("{group}/{}", self.plural()),
            _ => format!("{group}/namespaces/{namespace}/{}", self.plural()),
        }
    }
}

/// As few fields as possible.
pub fn least(kind: Kind, provider: &str, name: &str) -> Value {
    let spec = match kind {
        Kind::PhoneNumber => json!({"phoneNumber": "+12125551234", "provider": provider}),
        _ => json!({"provider": provider, provider: {"credentialsSecretRef": {"name": "keys"}}}),
    };
    json!({
        "apiVersion": "telephony.burki.dev/v1alpha1",
        "kind": kind.name(),
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// The spec of the [`least`] PhoneNumber as the API server stores it, with what it fills in.
pub fn least_as_stored(provider: &str) -> Value {
    json!({
        "phoneNumber": "+12125551234",
        "provider": provider,
        "adoptionPolicy": "Never",
        "messaging": "BestEffort",
        "deletionProtection": false,
        "suspend": false,
    })
}

/// JSON merge patch, except that `null` is kept: it is what a person may write.
pub fn merge(target: &mut Value, change: &Value) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) => {
            for (name, value) in change {
                merge(target.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (target, change) => *target = change.clone(),
    }
}

pub fn with_spec(mut manifest: Value, change: &Value) -> Value {
    merge(&mut manifest["spec"], change);
    manifest
}
