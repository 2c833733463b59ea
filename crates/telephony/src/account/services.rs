//! Messaging services (Twilio): which of them an account has, where they send messages, and which numbers are in them.
//!
//! Twilio does not show on a number which service it is in. The account's services are listed once an interval, and only
//! those are looked into that a resource declares, unless a resource declares none.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use super::{Account, lock};
use crate::clock::Instant;
use crate::number::{Holding, Inbound, MessagingService, NumberId, Settings};
use crate::provider::Error;

/// What is known of the messaging services of an account, whichever credential has shown it.
#[derive(Default)]
pub(super) struct Services {
    known: Mutex<Known>,
    /// Held while services are looked into: one look at a time.
    look: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    inbound: HashMap<String, Inbound>,
    members: BTreeMap<String, Members>,
    /// When every service was looked into.
    all_seen: Option<Instant>,
    /// The numbers that calls of our own have put into a service.
    attached: HashMap<NumberId, (String, Instant)>,
}

struct Members {
    /// When the call began that has shown them.
    seen: Instant,
    ids: HashSet<NumberId>,
}

impl Services {
    /// Puts the service that the number was seen in into `holding`.
    pub(super) fn put_into(&self, holding: &mut Holding) {
        if let Settings::Twilio(settings) = &mut holding.settings {
            settings.messaging_service = lock(&self.known).of(&holding.id);
        }
    }

    /// Notes that a call that ended at `at` has put the number into a service, or has shown it in it.
    pub(super) fn attached(&self, id: &NumberId, service: &str, at: Instant) {
        let mut known = lock(&self.known);
        known.attached.insert(id.clone(), (service.to_owned(), at));
    }

    fn saw_inbound(&self, services: &[MessagingService]) {
        let known = services.iter();
        lock(&self.known).inbound = known
            .map(|service| (service.sid.clone(), service.inbound.clone()))
            .collect();
    }

    fn saw_members(&self, service: &str, seen: Instant, ids: HashSet<NumberId>) {
        let mut known = lock(&self.known);
        let is_older = |(sid, at): &mut (String, Instant)| sid == service && *at <= seen;
        known.attached.retain(|_, it| !is_older(it));
        let members = Members { seen, ids };
        known.members.insert(service.to_owned(), members);
    }

    /// True if every service was looked into at `at` or later: a number that none shows is in none.
    pub(super) fn all_were_seen_since(&self, at: Instant) -> bool {
        lock(&self.known).all_seen.is_some_and(|seen| seen >= at)
    }

    /// True if the members of `service` were asked for at `not_before` or later.
    fn knows(&self, service: &str, not_before: Option<Instant>) -> bool {
        let known = lock(&self.known);
        let members = known.members.get(service);
        members.is_some_and(|members| not_before.is_none_or(|at| members.seen >= at))
    }

    /// Forgets the members of services that nobody has asked for since `at`.
    fn forget_before(&self, at: Instant) {
        let mut known = lock(&self.known);
        known.members.retain(|_, members| members.seen >= at);
    }

    /// Forgets a number that is gone.
    pub(super) fn gone(&self, id: &NumberId) {
        lock(&self.known).attached.remove(id);
    }

    fn forget(&self, service: &str) {
        lock(&self.known).members.remove(service);
    }
}

impl Known {
    fn of(&self, id: &NumberId) -> Option<MessagingService> {
        let attached = self.attached.get(id).filter(|(sid, at)| {
            let members = self.members.get(sid);
            members.is_none_or(|members| members.seen < *at)
        });
        let mut listed = self.members.iter();
        let sid = match attached {
            Some((sid, _)) => sid,
            None => listed.find(|(_, members)| members.ids.contains(id))?.0,
        };
        let inbound = self.inbound.get(sid).cloned();
        Some(MessagingService {
            sid: sid.clone(),
            inbound: inbound.unwrap_or(Inbound::Unknown),
        })
    }
}

impl Account {
    /// Every messaging service of the account, as listed within the interval.
    ///
    /// # Errors
    /// Those of the provider.
    async fn messaging_services(&self) -> Result<Arc<[MessagingService]>, Error> {
        let ask = async {
            let services = self.call(self.provider_api.messaging_services()).await?;
            self.shared.services.saw_inbound(&services);
            Ok(Arc::from(services))
        };
        self.services.get_or((), ask).await
    }

    /// The messaging service `sid`, as seen within the interval; `None` if the account has none with this SID.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn messaging_service(&self, sid: &str) -> Result<Option<MessagingService>, Error> {
        let services = self.messaging_services().await?;
        if let Some(found) = services.iter().find(|service| service.sid == sid) {
            return Ok(Some(found.clone()));
        }
        // It may have been made since.
        let ask = self.call(self.provider_api.messaging_service(sid));
        self.service_by_sid.get_or(sid.to_owned(), ask).await
    }

    /// Finds out which numbers are in `service`, unless that is known. A credential that may not read it shows nothing, and
    /// the number then counts as not being in it.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn know_members(&self, service: &str) -> Result<(), Error> {
        let services = &self.shared.services;
        if services.knows(service, None) {
            return Ok(());
        }
        let key = service.to_owned();
        let looked = self
            .member_looks
            .get_or(key.clone(), self.look_into(service));
        match looked.await {
            Ok(()) | Err(Error::Unauthorized(_) | Error::Refused(_)) => Ok(()),
            Err(error) => {
                self.member_looks.forget(&key);
                Err(error)
            }
        }
    }

    /// Looks into the messaging services in `declared` and, if `others`, into all others too, unless that was done at `not_before`
    /// or later. What was known before stays known where that fails.
    ///
    /// # Errors
    /// The last one of the provider; the other services are looked into all the same.
    pub async fn look_into_services(
        &self,
        declared: &BTreeSet<String>,
        others: bool,
        not_before: Instant,
    ) -> Result<(), Error> {
        let (begun, mut outcome) = (self.clock.now(), Ok(()));
        let services = self.messaging_services().await?;
        let known = &self.shared.services;
        let _look = known.look.lock().await;
        for service in services.iter() {
            let is_wanted = others || declared.contains(&service.sid);
            if is_wanted && !known.knows(&service.sid, Some(not_before)) {
                outcome = self.look_into(&service.sid).await.and(outcome);
            }
        }
        if others && outcome.is_ok() {
            lock(&known.known).all_seen = Some(begun);
        }
        let interval = self.clock.now().since(not_before);
        known.forget_before(not_before.before(interval.saturating_mul(2)));
        outcome
    }

    async fn look_into(&self, service: &str) -> Result<(), Error> {
        let begun = self.clock.now();
        let known = &self.shared.services;
        match self.call(self.provider_api.members(service)).await? {
            Some(ids) => known.saw_members(service, begun, ids),
            None => known.forget(service),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Instant {
        Instant::since_boot(Duration::from_secs(seconds))
    }

    fn ids(ids: &[&str]) -> HashSet<NumberId> {
        ids.iter().map(|id| NumberId::new(*id)).collect()
    }

    fn seen_in(services: &Services, id: &str) -> Option<String> {
        let known = lock(&services.known);
        known.of(&NumberId::new(id)).map(|service| service.sid)
    }

    #[test]
    fn a_number_is_in_the_service_that_was_last_seen_with_it() {
        let services = Services::default();
        assert_eq!(seen_in(&services, "a"), None);
        services.saw_members("MG1", at(10), ids(&["a"]));
        assert_eq!(seen_in(&services, "a").as_deref(), Some("MG1"));
        services.saw_members("MG1", at(20), ids(&[]));
        assert_eq!(seen_in(&services, "a"), None);
        // The look began before the number was put into the service.
        services.attached(&NumberId::new("a"), "MG1", at(25));
        services.saw_members("MG1", at(24), ids(&[]));
        assert_eq!(seen_in(&services, "a").as_deref(), Some("MG1"));
        services.saw_members("MG1", at(30), ids(&[]));
        assert_eq!(seen_in(&services, "a"), None);
    }

    #[test]
    fn a_service_that_nobody_asks_for_is_forgotten() {
        let services = Services::default();
        services.saw_members("MG1", at(10), ids(&["a"]));
        services.saw_members("MG2", at(20), ids(&["b"]));
        services.forget_before(at(15));
        assert!(!services.knows("MG1", None));
        assert!(services.knows("MG2", None) && !services.knows("MG2", Some(at(21))));
    }
}
