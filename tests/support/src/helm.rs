//! Helm, and what it renders of the chart.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::command::{Printed, run};
use crate::kubectl::OPERATOR_NAMESPACE;
use crate::root;

/// The chart, as seen from the root of the repository.
pub const CHART: &str = "charts/phonenumber-operator";

/// Where Helm is, after it was built if need be.
pub fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = run(&mut Command::new(root().join("tests/helm/build")));
        built.unwrap().trim().into()
    })
}

/// Runs Helm at the root of the repository.
pub fn helm(arguments: &[&str]) -> Printed {
    run(Command::new(program()).args(arguments).current_dir(root()))
}

/// What the chart renders with more arguments, or why it does not.
pub fn try_rendered(more: &[&str]) -> Printed {
    let release = ["template", "phonenumber-operator", CHART];
    helm(&[&release[..], &["--namespace", OPERATOR_NAMESPACE], more].concat())
}

/// What the chart renders with more arguments.
pub fn rendered(more: &[&str]) -> String {
    try_rendered(more).unwrap_or_else(|error| panic!("{more:?}: {error}"))
}

/// The objects in rendered text.
pub fn objects(text: &str) -> Vec<Value> {
    let documents = text.split("\n---\n").map(|document| {
        serde_saphyr::from_str::<Value>(document)
            .unwrap_or_else(|error| panic!("{error}: {document}"))
    });
    documents.filter(Value::is_object).collect()
}

/// The objects of this kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let fits = |object: &&Value| object["kind"] == kind;
    objects.iter().filter(fits).collect()
}

/// The only object of this kind.
pub fn the<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found = of_kind(objects, kind);
    assert_eq!(found.len(), 1, "{kind}");
    found[0]
}

/// Compares a generated file with what it should be, or rewrites it with GENERATE=1.
pub fn compare(path: &str, wanted: &str) {
    let file = root().join(path);
    if std::env::var_os("GENERATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == wanted, "{path} is stale: run `make generate`");
}

/// Values that turn every switch of the chart on, as files and settings for Helm.
pub const EVERYTHING: &[&str] = &[
    "--set-json=image={\"digest\":\"sha256:0000000000000000000000000000000000000000000000000000000000000001\"}",
    "--set-json=imagePullSecrets=[{\"name\":\"registry\"}]",
    "--set=flags.installationId=every-switch",
    "--set-json=flags.allowBurkiOrigins=[\"https://burki.example.com\"]",
    "--set-json=flags.providerEndpoints={\"twilio\":\"http://emulator.example.com\"}",
    "--set=flags.allowInsecureEndpoints=true",
    "--set=flags.logLevel=info\\,kube=debug",
    "--set=flags.otlpEndpoint=http://collector.example.com:4318",
    "--set-json=rbac.secretNames=[\"twilio\",\"burki\"]",
    "--set=admission.allowedCountries.enabled=true",
    "--set-json=admission.allowedCountries.default=[\"US\"]",
    "--set-string=admission.maxMonthlyCost.amount=5.00",
    "--set-json=admission.webhookHosts=[\"voice.example.com\",\"*.example.org\"]",
    "--set=metrics.serviceMonitor.enabled=true",
    "--set=metrics.serviceMonitor.interval=30s",
    "--set-json=metrics.serviceMonitor.labels={\"release\":\"prometheus\"}",
    "--set=metrics.prometheusRule.enabled=true",
    "--set=metrics.prometheusRule.runbookUrl=https://git.example.com/blob/main",
    "--set-json=metrics.prometheusRule.labels={\"release\":\"prometheus\"}",
    "--set=metrics.dashboard.enabled=true",
    "--set-json=networkPolicy.apiServerCIDRs=[\"10.0.0.1/32\"]",
    "--set-json=networkPolicy.metricsFrom=[{\"namespaceSelector\":{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"monitoring\"}}}]",
    "--set-json=networkPolicy.extraEgress=[{\"ports\":[{\"port\":8443}]}]",
    "--set=priorityClassName=system-cluster-critical",
    "--set-json=commonLabels={\"app.kubernetes.io/part-of\":\"telephony\",\"example.com/team\":\"platform\"}",
    "--set-json=serviceAccount.annotations={\"example.com/role\":\"none\"}",
    "--set=metrics.serviceMonitor.scheme=https",
    "--set-json=metrics.serviceMonitor.tlsConfig={\"insecureSkipVerify\":false}",
    "--set-json=metrics.serviceMonitor.relabelings=[{\"action\":\"labeldrop\",\"regex\":\"pod\"}]",
    "--set-json=nodeSelector={\"example.com/pool\":\"system\"}",
    "--set-json=hostAliases=[{\"ip\":\"192.0.2.1\",\"hostnames\":[\"burki.example.com\"]}]",
    "--set-json=dnsConfig={\"options\":[{\"name\":\"ndots\",\"value\":\"1\"}]}",
    "--set-json=extraEnv=[{\"name\":\"EXAMPLE\",\"value\":\"1\"}]",
    "--set-json=extraVolumes=[{\"name\":\"authorities\",\"configMap\":{\"name\":\"authorities\"}}]",
    "--set-json=extraVolumeMounts=[{\"name\":\"authorities\",\"mountPath\":\"/authorities\",\"readOnly\":true}]",
    "--set-json=deploymentAnnotations={\"example.com/restart\":\"auto\"}",
    "--set-json=tolerations=[{\"operator\":\"Exists\"}]",
    "--set-json=affinity={\"nodeAffinity\":{}}",
    "--set-json=podAnnotations={\"example.com/note\":\"x\"}",
    "--set-json=podLabels={\"example.com/team\":\"voice\"}",
];

/// The same for a release that looks after two namespaces.
pub const TWO_NAMESPACES: &[&str] = &[
    "--set-json=watchNamespaces=[\"acme\",\"globex\"]",
    "--set=flags.installationId=two-namespaces",
];
