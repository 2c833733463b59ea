//! Does an installation fit together: definitions and plugin, policies and bindings, a leader, accounts? Reads the cluster alone.

use std::collections::BTreeSet;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::ListParams;
use kube::{Resource, ResourceExt};
use phonenumber_api::{AccountStatus, ClusterProviderAccount, ProviderAccount, lacking};

use super::Answer;
use super::cluster::{Cluster, Connection, Named, Selection};
use super::colour::{Colours, Tone};
use super::error::Error;
use super::operator::{self, LEASE, OperatorNamespace, SELECTOR};
use super::status::{ready, said};
use super::table::{Painted, age, painted_table};

/// The columns of the table.
pub(super) const HEADINGS: &[&str] = &["STATE", "CHECK", "DETAIL"];

/// The ends of the names of the policies that the chart brings whatever namespaces it watches.
const POLICIES: &[&str] = &["claims", "deletion", "itself", "owners", "restores"];

/// How far the clocks of this machine and of the leader may lie apart.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(30);

/// What a person asks for.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// Print tables without headings.
    #[arg(long)]
    no_headers: bool,

    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    operator: OperatorNamespace,

    #[command(flatten)]
    connection: Connection,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    state: State,
    check: String,
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    Bad,
    Unknown,
}

impl Finding {
    fn new(state: State, check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            state,
            check: check.into(),
            detail: detail.into(),
        }
    }

    fn unknown(check: impl Into<String>, error: &Error) -> Self {
        Self::new(State::Unknown, check, said(&error.to_string()))
    }
}

pub(super) async fn check(request: Request, colours: Colours) -> Result<Answer, Error> {
    let cluster = Cluster::open(request.connection).await?;
    let namespace = &request.operator.name;
    let mut answer = Answer::default();
    let findings = findings(&cluster, namespace, &request.selection, &mut answer.notes).await;
    answer.output = table_of(&findings, request.no_headers, colours);
    let is_fine = findings.iter().all(|finding| finding.state == State::Ok);
    answer.code = u8::from(!is_fine);
    Ok(answer)
}

/// The result of every check, where the operator is in `namespace`. Other objects than accounts that cannot be decoded are
/// notes.
pub(super) async fn findings(
    cluster: &Cluster,
    namespace: &str,
    selection: &Selection,
    notes: &mut Vec<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, found) in operator::definitions(cluster).await {
        findings.push(definition(name, found));
    }
    findings.push(deployment(cluster, namespace, notes).await);
    findings.push(leader(cluster, namespace).await);
    findings.extend(policies(cluster, notes).await);
    findings.extend(accounts(cluster, selection).await);
    findings
}

/// The findings as a table; without headings if `bare`.
pub(super) fn table_of(findings: &[Finding], bare: bool, colours: Colours) -> String {
    let row = |finding: &Finding| {
        let cells = [finding.state.word(), &finding.check, &finding.detail];
        cells.map(str::to_owned).to_vec()
    };
    let rows: Vec<_> = findings.iter().map(row).collect();
    let painted = Painted {
        colours,
        column: 0,
        tone: |row| State::of(row.first()?).map(State::tone),
    };
    painted_table(HEADINGS, &rows, bare, &painted)
}

impl State {
    const ALL: [Self; 3] = [Self::Ok, Self::Bad, Self::Unknown];

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Bad => Tone::Bad,
            Self::Unknown => Tone::Doubtful,
        }
    }
}

/// Is the definition served, and does it have the fields that this version knows?
fn definition(
    name: &'static str,
    found: Result<Option<CustomResourceDefinition>, Error>,
) -> Finding {
    let check = format!("definition {name}");
    let installed = match found {
        Ok(Some(installed)) => installed,
        Ok(None) => {
            let detail = "it does not exist: apply the chart's definitions";
            return Finding::new(State::Bad, check, detail);
        }
        Err(error) => return Finding::unknown(check, &error),
    };
    if installed.metadata.deletion_timestamp.is_some() {
        let detail = "it is being deleted, and every object of its kind with it";
        return Finding::new(State::Bad, check, detail);
    }
    let ours = phonenumber_api::definitions().unwrap_or_default();
    let ours = ours
        .iter()
        .find(|ours| ours.name_any() == installed.name_any());
    let missing = ours.map(|ours| lacking(ours, &installed));
    match missing {
        Some(Ok(missing)) if missing.is_empty() => Finding::new(
            State::Ok,
            check,
            "it has every field that this plugin knows",
        ),
        Some(Ok(missing)) => {
            let detail = format!(
                "it lacks {}: apply the definitions of version {}",
                missing.join(", "),
                env!("CARGO_PKG_VERSION")
            );
            Finding::new(State::Bad, check, said(&detail))
        }
        Some(Err(error)) => Finding::new(State::Unknown, check, error.to_string()),
        None => Finding::new(State::Unknown, check, "this plugin does not know it"),
    }
}

/// Is a replica of the operator ready?
async fn deployment(cluster: &Cluster, namespace: &str, notes: &mut Vec<String>) -> Finding {
    let check = format!("operator in {namespace}");
    let labels = ListParams::default().labels(SELECTOR);
    let listed = cluster.list_in(Some(namespace), labels, notes).await;
    let found: Vec<Deployment> = match listed {
        Ok(found) => found,
        Err(error) => return Finding::unknown(check, &error),
    };
    let ready = found
        .iter()
        .filter_map(|it| it.status.as_ref()?.ready_replicas);
    let ready: i32 = ready.fold(0, i32::saturating_add);
    match (found.is_empty(), ready) {
        (true, _) => {
            let detail = "there is no Deployment: name the namespace with --operator-namespace";
            Finding::new(State::Bad, check, detail)
        }
        (false, 0) => {
            let detail = format!("no replica is ready: see kubectl get pods -n {namespace}");
            Finding::new(State::Bad, check, detail)
        }
        (false, ready) => Finding::new(State::Ok, check, format!("ready replicas: {ready}")),
    }
}

async fn leader(cluster: &Cluster, namespace: &str) -> Finding {
    let check = format!("lease {namespace}/{LEASE}");
    let found: Result<Option<Lease>, Error> = cluster.find(Some(namespace), LEASE).await;
    match found {
        Ok(lease) => leading(check, lease.as_ref(), Timestamp::now()),
        Err(error) => Finding::unknown(check, &error),
    }
}

/// Is the Lease held, and renewed of late?
fn leading(check: String, lease: Option<&Lease>, now: Timestamp) -> Finding {
    let spec = lease.and_then(|lease| lease.spec.as_ref());
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref());
    let (Some(spec), Some(holder)) = (spec, holder.filter(|holder| !holder.is_empty())) else {
        let detail =
            "nobody leads, unless the operator runs with --leader-elect=false: see its log";
        return Finding::new(State::Bad, check, detail);
    };
    let renewed = spec.renew_time.as_ref().map(|time| time.0);
    let lasts = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or_default().into());
    let lasts = lasts.saturating_add(CLOCKS_APART);
    if let Some(ahead) = renewed.filter(|renewed| renewed.duration_since(now) > CLOCKS_APART) {
        let detail = format!(
            "{holder} renewed it at {ahead}, which is ahead of this machine's clock: set the clocks right"
        );
        return Finding::new(State::Unknown, check, said(&detail));
    }
    let is_fresh = renewed.is_some_and(|renewed| now.duration_since(renewed) <= lasts);
    let since = age(renewed, now);
    match is_fresh {
        true => Finding::new(
            State::Ok,
            check,
            said(&format!("{holder} leads, and renewed it {since} ago")),
        ),
        false => Finding::new(
            State::Bad,
            check,
            said(&format!(
                "{holder} renewed it {since} ago: nothing is bought or released until a replica leads again"
            )),
        ),
    }
}

/// Does each policy of the chart exist, and does a binding put it into force?
async fn policies(cluster: &Cluster, notes: &mut Vec<String>) -> Vec<Finding> {
    let labels = || ListParams::default().labels(SELECTOR);
    let policies = cluster.list_in(None, labels(), notes).await;
    let policies: Vec<ValidatingAdmissionPolicy> = match policies {
        Ok(found) => found,
        Err(error) => return vec![Finding::unknown("admission policies", &error)],
    };
    let bindings = cluster.list_in(None, ListParams::default(), notes).await;
    match bindings {
        Ok(bindings) => bound(&policies, &bindings),
        Err(error) => vec![Finding::unknown("bindings of admission policies", &error)],
    }
}

fn bound(
    policies: &[ValidatingAdmissionPolicy],
    bindings: &[ValidatingAdmissionPolicyBinding],
) -> Vec<Finding> {
    if policies.is_empty() {
        let detail = "there are none: install the chart with admission.enabled";
        return vec![Finding::new(State::Bad, "admission policies", detail)];
    }
    let in_force: BTreeSet<&str> = bindings
        .iter()
        .filter_map(|binding| {
            let spec = &binding.spec;
            let denies = spec.validation_actions.iter().any(|it| it == "Deny");
            denies.then_some(spec.policy_name.as_str())
        })
        .collect();
    let mut findings = Vec::new();
    for policy in policies {
        let name = policy.name_any();
        let (state, detail) = match in_force.contains(name.as_str()) {
            true => (State::Ok, "a binding puts it into force"),
            false => (
                State::Bad,
                "no binding with the action Deny: apply the chart again",
            ),
        };
        findings.push(Finding::new(state, format!("policy {name}"), detail));
    }
    for end in POLICIES {
        let names = |policy: &ValidatingAdmissionPolicy| policy.name_any();
        if !policies
            .iter()
            .map(names)
            .any(|name| name.ends_with(&format!("-{end}")))
        {
            let check = format!("policy {LEASE}-{end}");
            let detail = "it does not exist: apply the chart again";
            findings.push(Finding::new(State::Bad, check, detail));
        }
    }
    findings
}

/// Is each account Ready? Those for many namespaces are part of it, where the user may list them.
async fn accounts(cluster: &Cluster, selection: &Selection) -> Vec<Finding> {
    let mut params = ListParams::default();
    params.label_selector.clone_from(&selection.selector);
    let mut findings = accounts_of_kind::<ProviderAccount>(
        cluster
            .each(selection.namespace_in(cluster), params.clone())
            .await,
        |account| account.status.clone(),
    );
    findings.extend(accounts_of_kind::<ClusterProviderAccount>(
        cluster.each(None, params).await,
        |account| account.status.clone(),
    ));
    findings
}

/// The findings on the accounts of one kind. One that cannot be decoded is bad.
fn accounts_of_kind<K>(
    listed: Result<Vec<Named<K>>, Error>,
    status: impl Fn(&K) -> Option<AccountStatus>,
) -> Vec<Finding>
where
    K: Resource<DynamicType = ()>,
{
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => return vec![Finding::unknown(format!("{}s", K::kind(&())), &error)],
    };
    let finding = |(check, account): Named<K>| match account {
        Ok(account) => account_is_ready(check, account.meta().generation, status(&account)),
        Err(error) => Finding::new(State::Bad, check, said(&error.to_string())),
    };
    listed.into_iter().map(finding).collect()
}

fn account_is_ready(
    check: String,
    generation: Option<i64>,
    status: Option<AccountStatus>,
) -> Finding {
    let status = status.unwrap_or_default();
    let is_seen = status.observed_generation == generation;
    match ready(&status.conditions) {
        Some(Condition {
            status: truth,
            reason,
            ..
        }) if truth == "True" && is_seen => Finding::new(State::Ok, check, said(reason)),
        Some(found) if is_seen => {
            let detail = format!("{}: {}", found.reason, found.message);
            Finding::new(State::Bad, check, said(&detail))
        }
        _ => {
            let detail = "the operator has not seen its present generation";
            Finding::new(State::Bad, check, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_definition_is_fine_if_it_has_every_field() {
        let mut ours = phonenumber_api::definitions().unwrap();
        let whole = ours.remove(0);
        let fine = definition("phonenumbers", Ok(Some(whole.clone())));
        assert_eq!(fine.state, State::Ok);
        let mut older = serde_json::to_value(&whole).unwrap();
        let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
        let fields = older.pointer_mut(status).unwrap().as_object_mut().unwrap();
        fields.remove("id");
        let older = serde_json::from_value(older).unwrap();
        let bad = definition("phonenumbers", Ok(Some(older)));
        assert_eq!(bad.state, State::Bad);
        assert!(bad.detail.starts_with("it lacks .status.id"), "{bad:?}");
        let mut going = whole;
        going.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-11-25T00:00:00Z")).unwrap();
        assert_eq!(
            definition("phonenumbers", Ok(Some(going))).state,
            State::Bad
        );
        assert_eq!(definition("phonenumbers", Ok(None)).state, State::Bad);
        let error = Error::Flag("no".to_owned());
        assert_eq!(definition("phonenumbers", Err(error)).state, State::Unknown);
    }

    #[test]
    fn somebody_leads_if_the_lease_was_renewed_of_late() {
        let now: Timestamp = "2026-11-25T00:01:00Z".parse().unwrap();
        let lease = |spec: Value| -> Lease {
            serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": spec})).unwrap()
        };
        for (spec, wanted) in [
            (
                json!({"holderIdentity": "a", "renewTime": "2026-11-25T00:00:55.000000Z", "leaseDurationSeconds": 15}),
                State::Ok,
            ),
            (
                json!({"holderIdentity": "a", "renewTime": "2026-11-25T00:01:20.000000Z", "leaseDurationSeconds": 15}),
                State::Ok,
            ),
            (
                json!({"holderIdentity": "a", "renewTime": "2026-11-25T00:05:00.000000Z", "leaseDurationSeconds": 15}),
                State::Unknown,
            ),
            (
                json!({"holderIdentity": "a", "renewTime": "2026-11-24T00:00:00.000000Z", "leaseDurationSeconds": 15}),
                State::Bad,
            ),
            (
                json!({"holderIdentity": "", "renewTime": "2026-11-25T00:00:55.000000Z"}),
                State::Bad,
            ),
            (json!({"holderIdentity": "a"}), State::Bad),
            (json!({}), State::Bad),
        ] {
            let found = leading("lease".to_owned(), Some(&lease(spec.clone())), now);
            assert_eq!(found.state, wanted, "{spec}");
        }
        assert_eq!(leading("lease".to_owned(), None, now).state, State::Bad);
    }

    /// The policies and bindings of the rendered chart.
    fn chart() -> (
        Vec<ValidatingAdmissionPolicy>,
        Vec<ValidatingAdmissionPolicyBinding>,
    ) {
        let text = include_str!("../../../config/install.yaml");
        let mut found = (Vec::new(), Vec::new());
        for document in text.split("\n---\n") {
            let object: Value = serde_saphyr::from_str(document).unwrap();
            match object["kind"].as_str() {
                Some("ValidatingAdmissionPolicy") => {
                    found.0.push(serde_json::from_value(object).unwrap());
                }
                Some("ValidatingAdmissionPolicyBinding") => {
                    found.1.push(serde_json::from_value(object).unwrap());
                }
                _ => {}
            }
        }
        found
    }

    #[test]
    fn the_policies_of_the_chart_are_in_force_and_one_that_lacks_is_named() {
        let (policies, mut bindings) = chart();
        let found = bound(&policies, &bindings);
        assert_eq!(found.len(), policies.len());
        assert!(found.iter().all(|it| it.state == State::Ok), "{found:?}");
        bindings.remove(0);
        let bad = |found: &[Finding]| found.iter().filter(|it| it.state == State::Bad).count();
        assert_eq!(bad(&bound(&policies, &bindings)), 1);
        for (at, end) in POLICIES.iter().enumerate() {
            let mut fewer = policies.clone();
            fewer.retain(|policy| !policy.name_any().ends_with(&format!("-{end}")));
            assert_eq!(fewer.len(), policies.len() - 1, "{end}");
            let found = bound(&fewer, &chart().1);
            assert_eq!(bad(&found), 1, "{at}: {found:?}");
        }
        assert_eq!(bound(&[], &bindings).len(), 1);
    }

    #[test]
    fn an_account_that_cannot_be_decoded_is_bad() {
        let error = Error::Missing {
            what: "this version of the plugin cannot read it".to_owned(),
            next: "Install the other version".to_owned(),
        };
        let listed = vec![("ProviderAccount support/a".to_owned(), Err(error))];
        let found = accounts_of_kind::<ProviderAccount>(Ok(listed), |it| it.status.clone());
        let states: Vec<_> = found
            .iter()
            .map(|it| (it.state, it.check.as_str()))
            .collect();
        assert_eq!(states, [(State::Bad, "ProviderAccount support/a")]);
        assert!(found[0].detail.contains("cannot read it"), "{found:?}");
    }

    #[test]
    fn an_account_is_ready_at_its_present_generation() {
        let status = |truth: &str, generation: i64| -> Option<AccountStatus> {
            serde_json::from_value(json!({"observedGeneration": generation, "conditions": [{"type": "Ready",
                "status": truth, "reason": "Ready", "message": "m", "lastTransitionTime": "2026-11-25T00:00:00Z"}]}))
            .unwrap()
        };
        for (status, wanted) in [
            (status("True", 2), State::Ok),
            (status("True", 1), State::Bad),
            (status("False", 2), State::Bad),
            (None, State::Bad),
        ] {
            let found = account_is_ready("account".to_owned(), Some(2), status);
            assert_eq!(found.state, wanted, "{found:?}");
        }
    }
}
