//! A real etcd and kube-apiserver, for tests and for the demo: started in seconds on free loopback ports with a temporary
//! folder of their own, ended with the value or with the process that started them, however that process ends.
//!
//! It must never touch a cluster of the user: every client and command gets a kubeconfig written here.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use data_encoding::BASE64;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::root;
use folder::Folder;
use program::{Program, Programs, build, lock};

mod folder;
mod program;

/// Starting takes two seconds; this much is for machines that compile at the same time.
const READY_WITHIN: Duration = Duration::from_secs(120);
const POLL_EVERY: Duration = Duration::from_millis(50);
/// Below the ports that Linux and macOS give to outgoing connections: from those, a client that keeps dialling a stopped
/// API server would in the end connect to itself and keep the port.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// A port that was free can be taken by another program before ours listens.
const PORT_ATTEMPTS: usize = 5;
/// Those that act on objects which tests make: no pods, no nodes.
const CONTROLLERS: &str = "serviceaccount-controller,namespace-controller,garbage-collector-controller,clusterrole-aggregation-controller";
/// Longer than any test or demo, so that no token has to be renewed.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// Choices for one control plane. The default suits most tests.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the API server writes one JSON line for each answered request, with its metadata and without bodies.
    pub audit_log: Option<PathBuf>,
    /// Added at the end of the API server's command line.
    pub api_server_flags: Vec<String>,
}

/// A running etcd and kube-apiserver with RBAC. Ends them when dropped.
///
/// Without [`ControlPlane::start_controller_manager`] deleted namespaces stay `Terminating`, owners' dependents are not
/// collected, a namespace has only the ServiceAccounts that someone creates, and the aggregated ClusterRoles `view`, `edit`
/// and `admin` grant nothing. No pod ever runs.
pub struct ControlPlane {
    // In the order in which they are dropped: whoever uses a program ends before it.
    controller_manager: Mutex<Option<Program>>,
    api_server: Mutex<Option<Program>>,
    etcd: Program,
    programs: Programs,
    options: Options,
    api_server_port: u16,
    etcd_port: u16,
    admin_token: String,
    folder: Folder,
}

impl ControlPlane {
    /// Starts a control plane of its own, after building the programs if that was not done before (minutes, with progress
    /// on standard error). Returns when the API server is ready and the namespace `default` exists.
    ///
    /// # Errors
    /// The programs are missing and cannot be built, or do not become ready.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// As [`ControlPlane::start`], with choices.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn start_with(options: Options) -> anyhow::Result<Self> {
        // Fails if the process has chosen its provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let programs = Programs::find_or_build().await?;
        let mut attempts = 1;
        loop {
            match Self::start_on_free_ports(programs.clone(), options.clone()).await {
                Err(error)
                    if attempts < PORT_ATTEMPTS
                        && format!("{error:#}").contains("address already in use") =>
                {
                    attempts += 1
                }
                outcome => return outcome,
            }
        }
    }

    /// The control plane that all tests of this process share; namespaces keep them apart. It ends with the process.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                Self::start()
                    .await
                    .unwrap_or_else(|error| panic!("no control plane: {error:#}"))
            })
            .await
    }

    async fn start_on_free_ports(programs: Programs, options: Options) -> anyhow::Result<Self> {
        let folder = Folder::make()?;
        let etcd_port = free_port()?;
        let etcd = programs.run(
            "etcd",
            &folder,
            &[
                format!("--data-dir={}", folder.file("etcd").display()),
                format!("--listen-client-urls=http://127.0.0.1:{etcd_port}"),
                format!("--advertise-client-urls=http://127.0.0.1:{etcd_port}"),
                // The kernel chooses this port: a single member has no peers.
                "--listen-peer-urls=http://127.0.0.1:0".into(),
                "--unsafe-no-fsync".into(),
                "--log-level=warn".into(),
            ],
        )?;
        let control_plane = Self {
            controller_manager: Mutex::new(None),
            api_server: Mutex::new(None),
            etcd,
            programs,
            options,
            api_server_port: free_port()?,
            etcd_port,
            admin_token: uuid::Uuid::new_v4().to_string(),
            folder,
        };
        control_plane.prepare_files()?;
        control_plane.await_etcd().await?;
        control_plane.restart_api_server().await?;
        Ok(control_plane)
    }

    fn prepare_files(&self) -> anyhow::Result<()> {
        let tokens = format!("{},admin,admin,system:masters\n", self.admin_token);
        fs::write(self.folder.file("tokens.csv"), tokens)?;
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{ "level": "Metadata" }],
        });
        fs::write(self.folder.file("audit-policy.json"), policy.to_string())?;
        Ok(())
    }

    /// The API server dials etcd at once and waits a second when nobody answers.
    async fn await_etcd(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.etcd_port))).is_err() {
            self.etcd.ensure_running()?;
            ensure!(
                Instant::now() < deadline,
                "etcd does not listen: {}",
                self.etcd.log_end()
            );
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn api_server_flags(&self) -> Vec<String> {
        let file = |name: &str| self.folder.file(name).display().to_string();
        let mut flags = vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={}", self.api_server_port),
            // The API server makes its certificate there, before it reads the keys for tokens: its own key serves for both.
            format!("--cert-dir={}", file("certificates")),
            format!(
                "--service-account-key-file={}",
                file("certificates/apiserver.key")
            ),
            format!(
                "--service-account-signing-key-file={}",
                file("certificates/apiserver.key")
            ),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            "--service-cluster-ip-range=10.0.0.0/24".into(),
            "--endpoint-reconciler-type=none".into(),
            "--authorization-mode=RBAC".into(),
            format!("--token-auth-file={}", file("tokens.csv")),
        ];
        if let Some(log) = &self.options.audit_log {
            flags.push(format!("--audit-policy-file={}", file("audit-policy.json")));
            flags.push(format!("--audit-log-path={}", log.display()));
        }
        flags.extend(self.options.api_server_flags.iter().cloned());
        flags
    }

    /// The process id of the API server, if it runs.
    pub fn api_server_id(&self) -> Option<u32> {
        lock(&self.api_server).as_ref().map(Program::id)
    }

    /// Kills the API server without warning. Clients see refused connections until [`ControlPlane::restart_api_server`].
    pub fn kill_api_server(&self) {
        drop(lock(&self.api_server).take());
    }

    /// Starts the API server again, on the same port, with the same etcd, certificate and tokens; kills it first if it runs.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn restart_api_server(&self) -> anyhow::Result<()> {
        self.kill_api_server();
        let program =
            self.programs
                .run("kube-apiserver", &self.folder, &self.api_server_flags())?;
        *lock(&self.api_server) = Some(program);

        let deadline = Instant::now() + READY_WITHIN;
        let mut obstacle;
        loop {
            match self.readiness().await {
                Ok(()) => return Ok(()),
                Err(error) => obstacle = error,
            }
            {
                let api_server = lock(&self.api_server);
                let Some(program) = api_server.as_ref() else {
                    bail!("the API server was killed while it started")
                };
                program.ensure_running()?;
                ensure!(
                    Instant::now() < deadline,
                    "the API server is not ready: {obstacle:#}\n{}",
                    program.log_end()
                );
            }
            sleep(POLL_EVERY).await;
        }
    }

    async fn readiness(&self) -> anyhow::Result<()> {
        self.write_kubeconfig("admin", "default", &self.admin_token)?;
        let mut config = config_for(&self.kubeconfig_for_admin()).await?;
        config.default_retry = false;
        let client = Client::try_from(config)?;
        client
            .request_text(http::Request::get("/readyz").body(Vec::new())?)
            .await?;
        // Made in the background, sometimes after the server says that it is ready.
        Api::<Namespace>::all(client).get("default").await?;
        Ok(())
    }

    /// Starts the controllers that create a namespace's `default` ServiceAccount, finish the deletion of namespaces, collect
    /// garbage and fill aggregated ClusterRoles, and returns when the first of them works. Does nothing when it runs already.
    ///
    /// The garbage collector learns of a new custom resource definition within half a minute only.
    ///
    /// # Errors
    /// kube-controller-manager cannot be built or does not work.
    pub async fn start_controller_manager(&self) -> anyhow::Result<()> {
        if lock(&self.controller_manager).is_some() {
            return Ok(());
        }
        build(&["kube-controller-manager"]).await?;
        let program = self.programs.run(
            "kube-controller-manager",
            &self.folder,
            &[
                format!("--kubeconfig={}", self.kubeconfig_for_admin().display()),
                format!("--controllers={CONTROLLERS}"),
                "--leader-elect=false".into(),
                // Each controller under its own name, as on real clusters: admission policies tell them from people.
                "--use-service-account-credentials=true".into(),
                // No port of its own.
                "--secure-port=0".into(),
            ],
        )?;
        let accounts = Api::<ServiceAccount>::namespaced(self.admin_client().await?, "default");
        let deadline = Instant::now() + READY_WITHIN;
        while accounts.get_opt("default").await?.is_none() {
            program.ensure_running()?;
            ensure!(
                Instant::now() < deadline,
                "the controllers do not work: {}",
                program.log_end()
            );
            sleep(POLL_EVERY).await;
        }
        *lock(&self.controller_manager) = Some(program);
        Ok(())
    }

    /// The kubeconfig of a user who may do everything (group `system:masters`).
    #[must_use]
    pub fn kubeconfig_for_admin(&self) -> PathBuf {
        self.folder.file("admin.kubeconfig")
    }

    /// A kubeconfig for an existing ServiceAccount, with a token that the API server signed and that lasts for a day. Its
    /// rights are those that RBAC grants the account. Its default namespace is the account's.
    ///
    /// # Errors
    /// The API server issues no token, for instance since the account does not exist.
    pub async fn kubeconfig_for_service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> anyhow::Result<PathBuf> {
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(TOKEN_SECONDS),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let token = Api::<ServiceAccount>::namespaced(self.admin_client().await?, namespace)
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("no token for ServiceAccount {namespace}/{name}"))?
            .status
            .and_then(|status| status.token)
            .context("the answer to the token request holds no token")?;
        self.write_kubeconfig(&format!("{namespace}.{name}"), namespace, &token)
    }

    /// A client for the user of [`ControlPlane::kubeconfig_for_admin`]. Like every kube client it works only as long as
    /// the tokio runtime that it was made on, hence make one in each test.
    ///
    /// # Errors
    /// As [`client_for`].
    pub async fn admin_client(&self) -> anyhow::Result<Client> {
        client_for(&self.kubeconfig_for_admin()).await
    }

    /// kubectl as the user of [`ControlPlane::kubeconfig_for_admin`]. Another KUBECONFIG may be set on the command.
    /// Its home is the temporary folder, since kubectl caches and reads settings there. It runs at the root of the repository.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(&self.programs.kubectl);
        command
            .env("KUBECONFIG", self.kubeconfig_for_admin())
            .env("HOME", self.folder.path())
            .env("KUBERC", "off")
            .current_dir(root());
        command
    }

    /// Where the API server listens, also while it is killed.
    #[must_use]
    pub fn api_server_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.api_server_port))
    }

    /// Where etcd listens, without TLS.
    #[must_use]
    pub fn etcd_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.etcd_port))
    }

    /// The temporary folder, readable by this user alone, removed with the control plane. Holds the programs' logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn write_kubeconfig(
        &self,
        name: &str,
        namespace: &str,
        token: &str,
    ) -> anyhow::Result<PathBuf> {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{ "name": name, "context": { "cluster": "test", "user": name, "namespace": namespace } }],
            "clusters": [{ "name": "test", "cluster": {
                "server": format!("https://{}", self.api_server_address()),
                "certificate-authority-data": BASE64.encode(self.certificate_authority()?.as_ref()),
            } }],
            "users": [{ "name": name, "user": { "token": token } }],
        });
        let path = self.folder.file(&format!("{name}.kubeconfig"));
        // Programs that other tests start may read it at this moment.
        static WRITTEN: AtomicUsize = AtomicUsize::new(0);
        let whole = path.with_extension(format!("{}.new", WRITTEN.fetch_add(1, Relaxed)));
        fs::write(&whole, format!("{kubeconfig:#}\n"))?;
        fs::rename(&whole, &path)?;
        Ok(path)
    }

    /// The second certificate in the file that the API server writes; the first is its own.
    fn certificate_authority(&self) -> anyhow::Result<String> {
        const END: &str = "-----END CERTIFICATE-----\n";
        let chain = fs::read_to_string(self.folder.file("certificates/apiserver.crt"))
            .context("the API server has not made its certificate yet")?;
        let mut certificates = chain.split_inclusive(END);
        certificates
            .nth(1)
            .filter(|certificate| certificate.ends_with(END))
            .map(str::to_owned)
            .context("the API server's certificate is not complete yet")
    }
}

/// The settings of a client that uses this kubeconfig and nothing else, to be changed before a client is made of them.
///
/// # Errors
/// The file is not a kubeconfig.
pub async fn config_for(kubeconfig: &Path) -> anyhow::Result<Config> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

/// A client that uses this kubeconfig and nothing else.
///
/// # Errors
/// The file is not a kubeconfig.
pub async fn client_for(kubeconfig: &Path) -> anyhow::Result<Client> {
    Ok(Client::try_from(config_for(kubeconfig).await?)?)
}

fn free_port() -> anyhow::Result<u16> {
    for _ in 0..1000 {
        let port = rand::random_range(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {} and {}", PORTS.start, PORTS.end)
}
