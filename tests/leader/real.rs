//! On a real API server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use phonenumber_operator::clock::{BootClock, Clock, Instant};
use phonenumber_operator::leader::{Elector, LEASE, RENEW_DEADLINE, Term};
use phonenumber_operator::random::Random;
use phonenumber_operator::server_time::clients;
use serde_json::json;
use test_support::control_plane::{ControlPlane, config_for};
use test_support::objects::create;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::{AT_ONCE, NAME};

/// A namespace of the shared control plane, for one election.
struct Election {
    control_plane: &'static ControlPlane,
    namespace: &'static str,
    admin: Client,
}

impl Election {
    async fn in_namespace(namespace: &'static str) -> Self {
        let control_plane = ControlPlane::shared().await;
        let admin = control_plane.admin_client().await.unwrap();
        let named = json!({"metadata": {"name": namespace}});
        create::<Namespace>(&Api::all(admin.clone()), named).await;
        Self {
            control_plane,
            namespace,
            admin,
        }
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.admin.clone(), self.namespace)
    }

    async fn candidate(&self) -> Elector {
        self.candidate_through(self.control_plane.api_server_address())
            .await
    }

    async fn candidate_through(&self, address: SocketAddr) -> Elector {
        let mut config = config_for(&self.control_plane.kubeconfig_for_admin())
            .await
            .unwrap();
        config.cluster_url = format!("https://{address}").parse().unwrap();
        let clients = clients(config, Arc::new(BootClock)).unwrap();
        Elector::new(
            clients.writes,
            self.namespace,
            NAME,
            Arc::new(BootClock),
            Random::of_system(),
        )
    }

    /// Another candidate that starts to wait now, and tells when it leads.
    async fn successor(&self) -> tokio::task::JoinHandle<(Term, Instant)> {
        let candidate = self.candidate().await;
        let waiting = tokio::spawn(async move { (candidate.acquire().await, BootClock.now()) });
        // It must have seen the Lease as it is now.
        sleep(Duration::from_millis(1500)).await;
        waiting
    }
}

#[tokio::test]
async fn of_many_that_start_together_one_leads_and_the_rest_follow_one_by_one() {
    let election = Election::in_namespace("together").await;
    let leading = Arc::new(AtomicUsize::new(0));
    let mut candidates = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (candidate, leading) = (election.candidate().await, Arc::clone(&leading));
        candidates.spawn(async move {
            let term = candidate.acquire().await;
            assert_eq!(leading.fetch_add(1, Ordering::SeqCst), 0, "another leads");
            sleep(Duration::from_millis(200)).await;
            assert!(term.holds(BootClock.now()));
            leading.fetch_sub(1, Ordering::SeqCst);
            term.step_down().await;
            assert!(!term.holds(BootClock.now()));
        });
    }
    let all = async {
        while let Some(ended) = candidates.join_next().await {
            ended.unwrap();
        }
    };
    timeout(6 * AT_ONCE, all)
        .await
        .expect("they did not follow at once");
    let lease = election.leases().get(NAME).await.unwrap().spec.unwrap();
    assert_eq!(
        (lease.holder_identity, lease.lease_transitions),
        (None, Some(5))
    );
}

#[tokio::test]
async fn a_lease_that_was_given_back_is_taken_at_once_again_and_again() {
    let election = Election::in_namespace("graceful").await;
    let mut term = election.candidate().await.acquire().await;
    for _ in 0..6 {
        let successor = election.successor().await;
        assert!(term.holds(BootClock.now()) && !successor.is_finished());
        term.step_down().await;
        let stopped = BootClock.now();
        let (next, led) = timeout(AT_ONCE, successor)
            .await
            .expect("the takeover took too long")
            .unwrap();
        assert!(led >= stopped && next.holds(BootClock.now()) && !term.holds(BootClock.now()));
        term = next;
    }
}

#[tokio::test]
async fn the_lease_of_a_crashed_process_is_taken_when_it_has_run_out() {
    let election = Election::in_namespace("crash").await;
    let mut term = election.candidate().await.acquire().await;
    for _ in 0..2 {
        let successor = election.successor().await;
        // A last look at the term, and what it looked like from outside, before it is gone with all its tasks.
        let crashed = BootClock.now();
        drop(term);
        let (next, led) = timeout(2 * LEASE, successor)
            .await
            .expect("nobody took over")
            .unwrap();
        // It was renewed for the last time up to 2 s before.
        let waited = led.since(crashed);
        assert!(waited >= LEASE - Duration::from_secs(3), "{waited:?}");
        term = next;
    }
    assert!(term.holds(BootClock.now()));
    let lease = election.leases().get(NAME).await.unwrap().spec.unwrap();
    assert_eq!(lease.lease_transitions, Some(2));
}

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Not,
    /// Connections are closed and new ones refused.
    Closed,
    /// Connections stay open, and nothing passes.
    Silent,
}

/// A TCP proxy in front of `server`, which can be cut.
async fn proxy(server: SocketAddr) -> (SocketAddr, watch::Sender<Cut>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (cut, mut is_cut) = watch::channel(Cut::Not);
    tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        let mut kept = Vec::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (mut client, _) = accepted.unwrap();
                    if *is_cut.borrow() == Cut::Silent {
                        kept.push(client);
                        continue;
                    }
                    let mut silent = is_cut.clone();
                    connections.spawn(async move {
                        let mut upstream = TcpStream::connect(server).await.unwrap();
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => {}
                            () = async { drop(silent.wait_for(|cut| *cut == Cut::Silent).await) } => std::future::pending().await,
                        }
                    });
                }
                // Ends the listener and all connections.
                () = async { drop(is_cut.wait_for(|cut| *cut == Cut::Closed).await) } => return,
            }
        }
    });
    (address, cut)
}

async fn cut_off(namespace: &'static str, how: Cut) {
    let election = Election::in_namespace(namespace).await;
    let (address, cut) = proxy(election.control_plane.api_server_address()).await;
    let term = election.candidate_through(address).await.acquire().await;
    let successor = election.successor().await;
    cut.send(how).unwrap();
    let from = BootClock.now();
    // What a controller would do: ask before each write, and stop when the term is lost.
    let mut last_held = from;
    let mut lost = Box::pin(term.lost());
    while timeout(Duration::from_millis(20), &mut lost).await.is_err() {
        if term.holds(BootClock.now()) {
            last_held = BootClock.now();
        }
        assert!(
            !successor.is_finished(),
            "taken over while the old leader did not know"
        );
    }
    let stopped = BootClock.now();
    assert!(stopped.since(from) < LEASE, "{:?}", stopped.since(from));
    assert!(
        last_held.since(from) <= RENEW_DEADLINE,
        "{:?}",
        last_held.since(from)
    );
    let (_, led) = timeout(2 * LEASE, successor)
        .await
        .expect("nobody took over")
        .unwrap();
    assert!(led > stopped && !term.holds(led));
    assert!(
        led.since(from) >= LEASE - Duration::from_secs(3),
        "{:?}",
        led.since(from)
    );
}

#[tokio::test]
async fn a_leader_that_is_cut_off_stops_before_another_leads() {
    tokio::join!(
        cut_off("refused", Cut::Closed),
        cut_off("silent", Cut::Silent)
    );
}

async fn taken_by_hand(namespace: &'static str, holder: serde_json::Value) {
    let election = Election::in_namespace(namespace).await;
    let term = election.candidate().await.acquire().await;
    let successor = election.successor().await;
    let edit = json!({"spec": {"holderIdentity": holder}});
    election
        .leases()
        .patch(NAME, &PatchParams::default(), &Patch::Merge(edit))
        .await
        .unwrap();
    let edited = BootClock.now();
    timeout(AT_ONCE, term.lost())
        .await
        .expect("it did not notice");
    assert!(!term.holds(BootClock.now()));
    let (_, led) = timeout(2 * LEASE, successor)
        .await
        .expect("nobody took over")
        .unwrap();
    assert!(
        led.since(edited) >= LEASE - Duration::from_millis(100),
        "{:?}",
        led.since(edited)
    );
}

#[tokio::test]
async fn a_lease_that_somebody_edited_is_lost_and_nobody_takes_it_at_once() {
    tokio::join!(
        taken_by_hand("edited", json!("somebody")),
        taken_by_hand("emptied", json!(null))
    );
}

#[tokio::test]
async fn a_label_on_the_lease_changes_nothing_and_stays() {
    let election = Election::in_namespace("labelled").await;
    let term = election.candidate().await.acquire().await;
    let before = election.leases().get(NAME).await.unwrap();
    let edit = json!({"metadata": {"labels": {"team": "voice"}}});
    election
        .leases()
        .patch(NAME, &PatchParams::default(), &Patch::Merge(edit))
        .await
        .unwrap();
    assert!(
        timeout(AT_ONCE, term.lost()).await.is_err(),
        "lost by a label"
    );
    assert!(term.holds(BootClock.now()));
    term.step_down().await;
    let after = election.leases().get(NAME).await.unwrap();
    assert_eq!(after.metadata.labels.unwrap()["team"], "voice");
    assert!(after.spec.unwrap().renew_time > before.spec.unwrap().renew_time);
}

#[tokio::test]
async fn a_lease_that_was_deleted_is_lost() {
    let election = Election::in_namespace("deleted").await;
    let term = election.candidate().await.acquire().await;
    election
        .leases()
        .delete(NAME, &DeleteParams::default())
        .await
        .unwrap();
    timeout(AT_ONCE, term.lost())
        .await
        .expect("it did not notice");
    assert!(!term.holds(BootClock.now()));
    assert!(
        election.leases().get_opt(NAME).await.unwrap().is_none(),
        "the lost Lease was made again"
    );
}

#[tokio::test]
async fn the_api_servers_clock_is_read_from_its_replies() {
    let control_plane = ControlPlane::shared().await;
    let config = config_for(&control_plane.kubeconfig_for_admin())
        .await
        .unwrap();
    let clients = clients(config, Arc::new(BootClock)).unwrap();
    assert_eq!(clients.time.now(), None);
    clients.reads.apiserver_version().await.unwrap();
    // The same machine, hence the same time.
    let off = clients
        .time
        .now()
        .unwrap()
        .duration_until(jiff::Timestamp::now())
        .abs();
    assert!(off < jiff::SignedDuration::from_secs(3), "{off}");
}
