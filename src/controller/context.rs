//! What every reconcile needs.

use std::sync::Arc;

use super::Parts;
use super::caches::Caches;
use super::checks::{DependencyCache, InventoryChecks};
use super::cluster::Cluster;
use super::events::Events;
use super::process::Process;
use super::providers::Providers;
use super::quota::HourlyQuotas;
use super::requeuer::Requeuer;
use super::setbacks::Setbacks;
use super::slots::AccountSlots;
use super::writer::Writer;
use crate::leader::host;

/// What every reconcile needs.
pub struct Context {
    pub(super) process: Process,
    pub(super) cluster: Arc<Cluster>,
    pub(super) providers: Arc<Providers>,
    pub(super) writer: Writer,
    pub(super) quotas: Arc<HourlyQuotas>,
    pub(super) setbacks: Setbacks,
    pub(super) slots: Arc<AccountSlots>,
    pub(super) dependencies: DependencyCache,
    pub(super) checks: InventoryChecks,
}

impl Context {
    pub(super) fn new(parts: Parts, caches: Caches, requeuer: Requeuer) -> Self {
        let Parts {
            settings,
            clock,
            chance,
            clients,
            accounts,
            directory,
            heartbeat: _,
            metrics,
        } = parts;
        let process = Process {
            settings: Arc::new(settings),
            clock: Arc::clone(&clock),
            time: clients.time,
            chance: chance.clone(),
            metrics: metrics.clone(),
        };
        let settings = &process.settings;
        let slots = AccountSlots::new(settings.concurrency, requeuer.clone());
        Self {
            setbacks: Setbacks::new(clock, chance, metrics),
            quotas: Arc::new(HourlyQuotas::new(
                clients.writes.clone(),
                &settings.operator_namespace,
                requeuer.clone(),
            )),
            writer: Writer {
                events: Events::new(clients.writes.clone(), &host()),
                client: clients.writes,
            },
            cluster: Arc::new(Cluster::new(
                process.clone(),
                clients.reads,
                caches,
                requeuer,
                Arc::clone(&slots),
            )),
            providers: Arc::new(Providers {
                accounts,
                directory,
            }),
            dependencies: DependencyCache::default(),
            checks: InventoryChecks::default(),
            process,
            slots,
        }
    }
}
