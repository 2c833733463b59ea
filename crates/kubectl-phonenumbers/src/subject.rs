//! The one PhoneNumber that a command is about, with its account and its Events, as far as the user may read them. Nothing is asked
//! of a provider.

use std::str::FromStr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use phonenumber_api::{
    AccountKey, AccountKind, AccountSpec, AccountStatus, ClusterProviderAccount, GROUP,
    PhoneNumber, ProviderAccount,
};

use super::cluster::Cluster;
use super::error::Error;

/// A PhoneNumber as a person names it: `NAME`, `phonenumber/NAME` or `pn/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NumberName(String);

impl FromStr for NumberName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = match text.split_once('/') {
            None => text,
            Some((kind, name)) => {
                let suffix = format!(".{GROUP}");
                match kind.trim_end_matches(&suffix).to_ascii_lowercase().as_str() {
                    "phonenumber" | "phonenumbers" | "pn" => name,
                    _ => return Err("the kind is phonenumber".to_owned()),
                }
            }
        };
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        if name.is_empty() || name.len() > 253 || !name.chars().all(is_plain) {
            return Err("it is not the name of an object".to_owned());
        }
        Ok(Self(name.to_owned()))
    }
}

/// What an account declares and shows, of either kind.
#[derive(Clone, Debug)]
pub(super) struct SeenAccount {
    pub(super) spec: AccountSpec,
    pub(super) status: AccountStatus,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) number: PhoneNumber,
    /// The account that it refers to.
    pub(super) key: AccountKey,
    /// `None` if the account does not exist; an error if it may not be read.
    pub(super) account: Result<Option<SeenAccount>, Error>,
    /// The latest last.
    pub(super) events: Result<Vec<Event>, Error>,
}

impl Subject {
    /// Reads the PhoneNumber of this name in the user's namespace.
    ///
    /// # Errors
    /// If the PhoneNumber cannot be read. What else cannot be read is part of the result.
    pub(super) async fn read(cluster: &Cluster, name: &NumberName) -> Result<Self, Error> {
        let (namespace, name) = (cluster.namespace(), name.0.as_str());
        let number: Option<PhoneNumber> = cluster.find(Some(namespace), name).await?;
        let number = number.ok_or_else(|| Error::Missing {
            what: format!("PhoneNumber {namespace}/{name} does not exist"),
            next: format!(
                "kubectl get phonenumbers -n {namespace} lists those there are; another namespace is chosen with -n"
            ),
        })?;
        let key = AccountKey::of(&number);
        Ok(Self {
            account: account(cluster, &key).await,
            events: events(cluster, &number).await,
            key,
            number,
        })
    }
}

async fn account(cluster: &Cluster, key: &AccountKey) -> Result<Option<SeenAccount>, Error> {
    Ok(match key.kind {
        AccountKind::ProviderAccount => {
            let found: Option<ProviderAccount> =
                cluster.find(key.namespace.as_deref(), &key.name).await?;
            found.map(|found| SeenAccount {
                spec: found.spec.account,
                status: found.status.unwrap_or_default(),
            })
        }
        AccountKind::ClusterProviderAccount => {
            let found: Option<ClusterProviderAccount> = cluster.find(None, &key.name).await?;
            found.map(|found| SeenAccount {
                spec: found.spec.account,
                status: found.status.unwrap_or_default(),
            })
        }
    })
}

async fn events(cluster: &Cluster, number: &PhoneNumber) -> Result<Vec<Event>, Error> {
    let fields = format!(
        "involvedObject.kind=PhoneNumber,involvedObject.name={},involvedObject.uid={}",
        number.name_any(),
        number.uid().unwrap_or_default()
    );
    let namespace = number.namespace();
    let params = ListParams::default().fields(&fields);
    let mut notes = Vec::new();
    let listed = cluster.list_in(namespace.as_deref(), params, &mut notes);
    let mut events: Vec<Event> = listed.await?;
    events.sort_by_key(happened);
    Ok(events)
}

/// When an Event happened last.
pub(super) fn happened(event: &Event) -> Option<Timestamp> {
    let in_series = event.series.as_ref();
    let in_series = in_series.and_then(|series| series.last_observed_time.as_ref());
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let first = event.event_time.as_ref().map(|time| time.0);
    let created = event.metadata.creation_timestamp.as_ref();
    in_series
        .map(|time| time.0)
        .or(last)
        .or(first)
        .or(created.map(|time| time.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_named_with_or_without_its_kind() {
        for text in [
            "nyc",
            "pn/nyc",
            "phonenumber/nyc",
            "phonenumbers.telephony.burki.dev/nyc",
        ] {
            assert_eq!(text.parse(), Ok(NumberName("nyc".to_owned())), "{text}");
        }
        for text in ["", "/", "pod/nyc", "pn/", "a/b/c", "NYC", "../x"] {
            assert!(text.parse::<NumberName>().is_err(), "{text}");
        }
    }
}
