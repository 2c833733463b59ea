//! Which cluster is read, as which user and for how long: the flags that every client of Kubernetes has, with their meaning in
//! kubectl. Sends nothing.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::error::Error;

/// How long a person waits for an API server that does not answer, where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which cluster is read, as which user, and in which namespace.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Connection {
    /// The namespace. Default: that of the kubeconfig's context.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// The kubeconfig's context to use.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// The kubeconfig's cluster to use.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// The kubeconfig's user to use.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// The kubeconfig to use. Default: as kubectl.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The user to impersonate: a name, or system:serviceaccount:NAMESPACE:NAME.
    #[arg(long = "as", value_name = "USER")]
    impersonate: Option<String>,

    /// A group to impersonate; may be repeated.
    #[arg(long = "as-group", value_name = "GROUP", requires = "impersonate")]
    impersonate_group: Vec<String>,

    /// The UID to impersonate.
    #[arg(long = "as-uid", value_name = "UID", requires = "impersonate")]
    impersonate_uid: Option<String>,

    /// How long to wait for the API server: seconds, or a duration such as 30s or 2m. 0 waits for ever.
    #[arg(long, value_name = "DURATION", value_parser = timeout, default_value = "30s")]
    request_timeout: Timeout,
}

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Timeout(Option<Duration>);

impl Default for Timeout {
    fn default() -> Self {
        Self(Some(PATIENCE))
    }
}

impl Connection {
    /// The client's configuration and the namespace that the user is in.
    ///
    /// # Errors
    /// If there is no kubeconfig, or it lacks what a flag names.
    pub(super) async fn config(self) -> Result<(Config, String), Error> {
        let options = KubeConfigOptions {
            context: self.context,
            cluster: self.cluster,
            user: self.user,
        };
        let names_an_entry =
            options.context.is_some() || options.cluster.is_some() || options.user.is_some();
        let kubeconfig = match self.kubeconfig {
            Some(file) => Some(Kubeconfig::read_from(file)?),
            None if names_an_entry => Some(Kubeconfig::read()?),
            None => None,
        };
        let mut config = match kubeconfig {
            Some(kubeconfig) => {
                check_user(&kubeconfig, options.user.as_deref())?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await?
            }
            None => Config::infer().await?,
        };
        if self.impersonate.is_some() {
            config.auth_info.impersonate = self.impersonate;
            config.auth_info.impersonate_uid = self.impersonate_uid;
            config.auth_info.impersonate_groups = Some(self.impersonate_group);
        }
        config.default_retry = false;
        config.connect_timeout = self.request_timeout.0;
        config.read_timeout = self.request_timeout.0;
        config.reset_reader_on_write = true;
        let namespace = self
            .namespace
            .unwrap_or_else(|| config.default_namespace.clone());
        Ok((config, namespace))
    }
}

impl Connection {
    /// The namespace that is meant, without asking a cluster: that of the flag, else of the kubeconfig's context, else `default`.
    pub(crate) fn namespace_without_cluster(&self) -> String {
        let of_context = || {
            let kubeconfig = match &self.kubeconfig {
                Some(file) => Kubeconfig::read_from(file).ok()?,
                None => Kubeconfig::read().ok()?,
            };
            let chosen = self
                .context
                .as_ref()
                .or(kubeconfig.current_context.as_ref())?;
            let mut contexts = kubeconfig.contexts.iter();
            let context = contexts.find(|context| context.name == *chosen)?;
            context.context.as_ref()?.namespace.clone()
        };
        let named = self.namespace.clone().or_else(of_context);
        named.unwrap_or_else(|| "default".to_owned())
    }
}

/// A user that the kubeconfig lacks would otherwise be nobody.
fn check_user(kubeconfig: &Kubeconfig, user: Option<&str>) -> Result<(), Error> {
    let Some(user) = user else { return Ok(()) };
    let mut users = kubeconfig.auth_infos.iter();
    match users.any(|found| found.name == user) {
        true => Ok(()),
        false => Err(Error::NoCluster(format!(
            "the kubeconfig has no user {user}"
        ))),
    }
}

/// A timeout as kubectl reads it.
fn timeout(text: &str) -> Result<Timeout, String> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    let duration = seconds.or_else(|| {
        let duration: SignedDuration = text.parse().ok()?;
        Duration::try_from(duration).ok()
    });
    let duration =
        duration.ok_or_else(|| "it is a count of seconds, or a duration such as 2m".to_owned())?;
    Ok(Timeout((!duration.is_zero()).then_some(duration)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        connection: Connection,
    }

    /// The configuration that these flags lead to, by a kubeconfig with two of each.
    async fn config(flags: &[&str]) -> Result<(Config, String), Error> {
        let entry = |name: &str| {
            let server = format!("https://{name}.example.com");
            [
                json!({"name": name, "cluster": {"server": server}}),
                json!({"name": name, "user": {"token": format!("fake-token-{name}")}}),
                json!({"name": name, "context": {"cluster": name, "user": name, "namespace": format!("in-{name}")}}),
            ]
        };
        let [one, two] = ["one", "two"].map(entry);
        let file = json!({"apiVersion": "v1", "kind": "Config", "current-context": "one",
            "clusters": [one[0], two[0]], "users": [one[1], two[1]], "contexts": [one[2], two[2]]});
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, file.to_string()).unwrap();
        let path = path.to_str().unwrap();
        let line = Line::try_parse_from([&["x", "--kubeconfig", path], flags].concat());
        line.unwrap_or_else(|error| panic!("{error}"))
            .connection
            .config()
            .await
    }

    #[tokio::test]
    async fn a_flag_means_what_it_means_in_kubectl() {
        let url = |config: &Config| config.cluster_url.host().unwrap().to_owned();
        let (plain, namespace) = config(&[]).await.unwrap();
        assert_eq!(
            (url(&plain).as_str(), namespace.as_str()),
            ("one.example.com", "in-one")
        );
        assert_eq!(plain.auth_info.impersonate, None);
        let (other, namespace) = config(&["--context=two"]).await.unwrap();
        assert_eq!(
            (url(&other).as_str(), namespace.as_str()),
            ("two.example.com", "in-two")
        );
        let (crossed, namespace) = config(&["--cluster=two", "-n", "mine"]).await.unwrap();
        assert_eq!(
            (url(&crossed).as_str(), namespace.as_str()),
            ("two.example.com", "mine")
        );
        let (user, _) = config(&["--user=two"]).await.unwrap();
        assert_eq!(url(&user), "one.example.com");
        let token = format!("{:?}", user.auth_info.token.map(|_| "there"));
        assert_eq!(token, "Some(\"there\")");
        for flag in ["--context=no", "--cluster=no", "--user=no"] {
            assert!(config(&[flag]).await.is_err(), "{flag}");
        }
        let flags = [
            "--as=jane",
            "--as-group=a",
            "--as-group=b",
            "--as-uid=fake-uid",
        ];
        let (jane, _) = config(&flags).await.unwrap();
        assert_eq!(jane.auth_info.impersonate.as_deref(), Some("jane"));
        assert_eq!(
            jane.auth_info.impersonate_groups,
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(jane.auth_info.impersonate_uid.as_deref(), Some("fake-uid"));
        assert!(Line::try_parse_from(["x", "--as-group=a"]).is_err());
    }

    #[tokio::test]
    async fn a_timeout_is_read_as_kubectl_reads_it() {
        for (text, seconds) in [
            ("0", None),
            ("0s", None),
            ("30", Some(30)),
            ("30s", Some(30)),
            ("2m", Some(120)),
            ("1h30m", Some(5400)),
        ] {
            let (config, _) = config(&["--request-timeout", text]).await.unwrap();
            let wanted = seconds.map(Duration::from_secs);
            assert_eq!(config.read_timeout, wanted, "{text}");
            assert_eq!(config.connect_timeout, wanted, "{text}");
        }
        for text in ["", "-1", "-1s", "soon", "1x", "1.5.1s"] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }
}
