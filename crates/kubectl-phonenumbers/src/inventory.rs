//! The numbers that an account holds at the provider beside what the cluster declares: those without a mark, and those with a mark
//! of this installation that no PhoneNumber holds.

use std::collections::{HashMap, HashSet};

use clap::Args;
use jiff::Timestamp;
use phonenumber_api::{AccountKind, GROUP};
use serde_json::Value;
use telephony::account::Endpoints;
use telephony::number::{Holding, Installation, Origin, Provider};

use super::Answer;
use super::account::{AccountName, DeclaredAccount};
use super::cluster::Cluster;
use super::error::Error;
use super::manifest::{self, Destination, Takeover};
use super::scope::{Form, Output, Scope};
use super::survey::{self, Known, Orphan};
use super::table::{self, NONE, age, answered_by, shown};
use super::unheld::{self, List};

/// The columns of the table of orphans; `-o wide` adds some.
pub(super) const ORPHANS: &[&str] = &["NUMBER", "ID", "REASON", "PHONENUMBER", "ORIGIN", "AGE"];

#[derive(Args, Debug)]
pub(super) struct Question {
    /// The account: the name of a ProviderAccount of the namespace, or clusterprovideraccount/NAME.
    #[arg(value_name = "ACCOUNT")]
    account: AccountName,

    /// Ask the provider, with the account's Secret. Without it a table shows what the operator lists in the status of the account, at
    /// most 100 numbers. -o asks the provider too.
    #[arg(long)]
    live: bool,

    #[command(flatten)]
    scope: Scope,
}

pub(super) async fn unmanaged(question: Question) -> Result<Answer, Error> {
    let asked = Asked::open(question).await?;
    if !asked.is_live {
        return unheld::answer(&asked.account, List::Unmanaged, asked.no_headers);
    }
    let found = survey::unmanaged(asked.holdings().await?);
    let mut answer = Answer::default();
    if found.is_empty() {
        let title = asked.account.title();
        answer.notes = vec![format!("No unmanaged numbers found in {title}.")];
    }
    match asked.output.map_or(Form::Table, Output::form) {
        Form::Table => answer.output = asked.table_of_unmanaged(&found),
        Form::Manifests(print) => {
            let known = asked.cluster.phone_numbers_here().await?;
            answer.output = print(&asked.manifests(found, &known, &mut answer.notes))?;
        }
    }
    Ok(answer)
}

pub(super) async fn orphans(
    question: Question,
    installation_id: Option<String>,
) -> Result<Answer, Error> {
    let asked = Asked::open(question).await?;
    if !asked.is_live {
        return unheld::answer(&asked.account, List::Orphaned, asked.no_headers);
    }
    let before = Owners::read(&asked.cluster, installation_id).await?;
    let holdings = asked.holdings().await?;
    let (found, known) = before.orphans(holdings, &asked.cluster).await?;
    let mut answer = Answer::default();
    if found.is_empty() {
        let title = asked.account.title();
        answer.notes = vec![format!("No orphaned numbers found in {title}.")];
    }
    match asked.output.map_or(Form::Table, Output::form) {
        Form::Table => answer.output = asked.table_of_orphans(&found),
        Form::Manifests(print) => {
            let without = without_owner(found, &asked.account, &mut answer.notes);
            let manifests = asked.manifests(without, &known, &mut answer.notes);
            if !manifests.is_empty() {
                answer.notes.extend(former_names(&asked.account));
            }
            answer.output = print(&manifests)?;
        }
    }
    Ok(answer)
}

/// The PhoneNumbers of all namespaces as they were before a provider was asked. A number that is bought or released meanwhile is no
/// orphan.
pub(super) struct Owners {
    installation: Installation,
    known: Vec<Known>,
}

impl Owners {
    /// Reads them; the installation is the one with this id, else that of the cluster.
    ///
    /// # Errors
    /// If the user may not list PhoneNumbers in all namespaces, or not read what names the installation.
    pub(super) async fn read(
        cluster: &Cluster,
        installation_id: Option<String>,
    ) -> Result<Self, Error> {
        let installation = match installation_id {
            Some(id) => Installation::new(id),
            None => cluster.installation().await?,
        };
        Ok(Self {
            installation,
            known: cluster.phone_numbers().await?,
        })
    }

    /// The orphans among `holdings`, which the provider showed since, and the PhoneNumbers as they were before or are now.
    pub(super) async fn orphans(
        self,
        holdings: Vec<Holding>,
        cluster: &Cluster,
    ) -> Result<(Vec<Orphan>, Vec<Known>), Error> {
        let mut known = self.known;
        let after = cluster.phone_numbers().await?;
        let seen: HashSet<_> = after.iter().map(|known| known.owner.clone()).collect();
        known.retain(|known| !seen.contains(&known.owner));
        known.extend(after);
        let found = survey::orphans(holdings, &self.installation, &known);
        Ok((found, known))
    }
}

/// Those of `orphans` whose PhoneNumber does not exist; a note says what to do with each of the others.
pub(super) fn without_owner(
    orphans: Vec<Orphan>,
    account: &DeclaredAccount,
    notes: &mut Vec<String>,
) -> Vec<Holding> {
    let mut without = Vec::new();
    for orphan in orphans {
        match &orphan.owner {
            None => without.push(orphan.holding),
            Some(owner) => notes.push(format!(
                "{} is left out: it carries the mark of PhoneNumber {owner}, which exists and holds another number. \
                 Release it at {}, or take the mark out of its name there and list it with unmanaged.",
                orphan.holding.number,
                account.provider(),
            )),
        }
    }
    without
}

/// What the manifests for orphans of `account` lack that nobody but a person knows.
pub(super) fn former_names(account: &DeclaredAccount) -> Option<String> {
    let is_shared = account.kind == AccountKind::ClusterProviderAccount;
    is_shared.then(|| {
        format!(
            "An orphan of {} is taken over only by its former namespace: where its PhoneNumber had another name than the manifest, \
             set the annotation {GROUP}/formerly to that name.",
            account.title()
        )
    })
}

/// Where manifests for the numbers of `account` go.
pub(super) fn destination(cluster: &Cluster, account: &DeclaredAccount) -> Destination {
    Destination {
        namespace: cluster.namespace().to_owned(),
        provider: account.provider(),
        kind: account.kind,
        account: account.name.clone(),
    }
}

/// The manifests that take `found` over, except what `known` declare already.
pub(super) fn manifests(
    mut found: Vec<Takeover>,
    to: &Destination,
    known: &[Known],
    notes: &mut Vec<String>,
) -> Vec<Value> {
    let declared: HashMap<&str, &Known> = known
        .iter()
        .filter_map(|known| Some((known.number.as_deref()?, known)))
        .collect();
    found.retain(|takeover| {
        let declarer = declared.get(takeover.number.as_str());
        if let Some(known) = declarer {
            notes.push(format!(
                "{} is left out: PhoneNumber {} declares it already. To take it over there, set adoptionPolicy: Adopt.",
                takeover.number, known.owner
            ));
        }
        declarer.is_none()
    });
    let here = known
        .iter()
        .filter(|known| known.owner.namespace == to.namespace);
    let taken = here.map(|known| known.owner.name.clone()).collect();
    manifest::manifests(&found, to, &taken)
}

/// A question with the cluster and the account that it is about.
struct Asked {
    cluster: Cluster,
    account: DeclaredAccount,
    endpoints: Endpoints,
    is_live: bool,
    output: Option<Output>,
    no_headers: bool,
}

impl Asked {
    async fn open(question: Question) -> Result<Self, Error> {
        let scope = question.scope;
        let endpoints = scope.reach.endpoints()?;
        let AccountName { kind, name } = question.account;
        let cluster = Cluster::open(scope.reach.connection).await?;
        let namespace = &scope.reach.operator_namespace;
        let account =
            DeclaredAccount::read(kind.unwrap_or_default(), &name, namespace, &cluster).await?;
        Ok(Self {
            cluster,
            account,
            endpoints,
            is_live: question.live || scope.output.is_some(),
            output: scope.output,
            no_headers: scope.no_headers,
        })
    }

    async fn holdings(&self) -> Result<Vec<Holding>, Error> {
        self.account
            .holdings(&self.cluster, self.endpoints.clone())
            .await
    }

    fn manifests(
        &self,
        found: Vec<Holding>,
        known: &[Known],
        notes: &mut Vec<String>,
    ) -> Vec<Value> {
        let to = destination(&self.cluster, &self.account);
        let found = found.iter().map(Takeover::from).collect();
        manifests(found, &to, known, notes)
    }

    fn table_of_unmanaged(&self, found: &[Holding]) -> String {
        let wide = self.is_wide();
        let mut headings = unmanaged_headings(self.account.provider()).to_vec();
        if wide {
            headings.extend(["CALLS", "MESSAGES"]);
        }
        let now = Timestamp::now();
        let row = |holding: &Holding| {
            let mut row = vec![
                holding.number.to_string(),
                shown(holding.id.as_str()),
                shown(&holding.marked_text),
                age(holding.created, now),
            ];
            if wide {
                row.extend(answered_by(holding));
            }
            row
        };
        let rows: Vec<_> = found.iter().map(row).collect();
        self.table(&headings, &rows)
    }

    fn table_of_orphans(&self, found: &[Orphan]) -> String {
        let wide = self.is_wide();
        let mut headings = ORPHANS.to_vec();
        if wide {
            headings.extend([name_heading(self.account.provider()), "CALLS", "MESSAGES"]);
        }
        let now = Timestamp::now();
        let row = |orphan: &Orphan| {
            let (reason, owner) = match &orphan.owner {
                None => ("NoPhoneNumber", NONE.to_owned()),
                Some(owner) => ("HoldsAnother", owner.to_string()),
            };
            let origin = match orphan.mark.origin() {
                Origin::Bought => "Bought",
                Origin::Adopted => "Adopted",
            };
            let holding = &orphan.holding;
            let mut row = vec![
                holding.number.to_string(),
                shown(holding.id.as_str()),
                reason.to_owned(),
                owner,
                origin.to_owned(),
                age(holding.created, now),
            ];
            if wide {
                row.push(shown(&holding.marked_text));
                row.extend(answered_by(holding));
            }
            row
        };
        let rows: Vec<_> = found.iter().map(row).collect();
        self.table(&headings, &rows)
    }

    fn is_wide(&self) -> bool {
        self.output == Some(Output::Wide)
    }

    fn table(&self, headings: &[&str], rows: &[Vec<String>]) -> String {
        if rows.is_empty() {
            return String::new();
        }
        table::table(headings, rows, self.no_headers)
    }
}

/// The columns of the table of unmanaged numbers; `-o wide` adds some.
pub(super) fn unmanaged_headings(provider: Provider) -> [&'static str; 4] {
    ["NUMBER", "ID", name_heading(provider), "AGE"]
}

/// What the provider calls the field that people name numbers in, and the operator marks them in.
fn name_heading(provider: Provider) -> &'static str {
    match provider {
        Provider::Twilio => "FRIENDLY NAME",
        Provider::Telnyx => "CUSTOMER REFERENCE",
    }
}
