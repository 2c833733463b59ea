//! The numbers that an import takes over: as the status of the account lists them, or as the provider shows them.

use phonenumber_api::UnheldNumber;
use telephony::account::Endpoints;
use telephony::number::{E164, Holding};

use crate::account::DeclaredAccount;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::inventory::{Owners, without_owner};
use crate::manifest::Takeover;
use crate::survey::{self, Known};
use crate::table::{answered_by, shown};
use crate::unheld::List;

/// A number to take over.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) takeover: Takeover,
    /// The provider's id of it.
    pub(super) id: String,
    pub(super) list: List,
    /// What it has at the provider, for people: its name, and what answers calls and messages. `None` where that is not known.
    pub(super) before: Option<[String; 3]>,
}

impl Found {
    fn listed(number: &UnheldNumber, list: List) -> Option<Self> {
        let e164: E164 = number.phone_number.parse().ok()?;
        Some(Self {
            takeover: Takeover {
                number: e164,
                marked_text: String::new(),
            },
            id: number.id.clone(),
            list,
            before: None,
        })
    }

    fn seen(holding: &Holding, list: List) -> Self {
        let [calls, messages] = answered_by(holding);
        Self {
            takeover: Takeover::from(holding),
            id: holding.id.as_str().to_owned(),
            list,
            before: Some([shown(&holding.marked_text), calls, messages]),
        }
    }
}

/// Those in the status of `account`; notes say what it lacks.
///
/// # Errors
/// If the operator has not listed the account yet.
pub(super) fn in_status(
    account: &DeclaredAccount,
    notes: &mut Vec<String>,
) -> Result<Vec<Found>, Error> {
    let title = account.title();
    let mut found = Vec::new();
    for list in List::ALL {
        let listed = list.of_account(account)?;
        if let Some(rest) = list.rest(&listed, &title) {
            notes.push(format!(
                "warning: {rest}, and are left out. --live asks the provider for all, with the account's Secret"
            ));
        }
        for number in listed.numbers {
            match Found::listed(number, list) {
                Some(number) => found.push(number),
                None => notes.push(format!(
                    "warning: {} in the status of {title} is no phone number, and is left out",
                    shown(&number.phone_number)
                )),
            }
        }
    }
    if !found.is_empty() {
        notes.push(format!(
            "The status of {title} has no names of numbers and not what answers them: nor have the manifests and the page on the way \
             back. --live asks the provider for them, with the account's Secret."
        ));
    }
    Ok(found)
}

/// Those that the provider shows now, and the PhoneNumbers that declare numbers. Where the user's rights do not show which numbers
/// are orphans, a note says so.
pub(super) async fn live(
    account: &DeclaredAccount,
    cluster: &Cluster,
    endpoints: Endpoints,
    installation_id: Option<String>,
    notes: &mut Vec<String>,
) -> Result<(Vec<Found>, Vec<Known>), Error> {
    let owners = match Owners::read(cluster, installation_id).await {
        Ok(owners) => Some(owners),
        Err(error @ Error::Forbidden { .. }) => {
            notes.push(format!("Orphaned numbers are left out: {error}."));
            None
        }
        Err(error) => return Err(error),
    };
    let holdings = account.holdings(cluster, endpoints).await?;
    let (orphans, known) = match owners {
        Some(owners) => owners.orphans(holdings.clone(), cluster).await?,
        None => (Vec::new(), cluster.phone_numbers_here().await?),
    };
    let unmanaged = survey::unmanaged(holdings);
    let orphans = without_owner(orphans, account, notes);
    let mut found: Vec<Found> = Vec::new();
    for (holdings, list) in [(unmanaged, List::Unmanaged), (orphans, List::Orphaned)] {
        found.extend(holdings.iter().map(|holding| Found::seen(holding, list)));
    }
    Ok((found, known))
}
