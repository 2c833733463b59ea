//! The numbers of an account that no PhoneNumber holds, as the operator lists them in the status of the account. Asks no provider.

use jiff::Timestamp;
use phonenumber_api::{AccountStatus, UnheldNumber};

use super::Answer;
use super::account::DeclaredAccount;
use super::error::Error;
use super::table::{UNKNOWN, age, shown, table};

/// The columns of the table.
pub(super) const HEADINGS: [&str; 4] = ["NUMBER", "ID", "MONTHLY", "AGE"];

/// One of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    Unmanaged,
    Orphaned,
}

/// What the status of an account has of one list, as of the operator's last listing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed<'a> {
    pub(super) numbers: &'a [UnheldNumber],
    /// How many more there are than the status has room for.
    pub(super) unlisted: i64,
}

impl List {
    pub(super) const ALL: [Self; 2] = [Self::Unmanaged, Self::Orphaned];

    /// What `status` has of the list; `None` for an account that was never listed.
    pub(super) fn of(self, status: &AccountStatus) -> Option<Listed<'_>> {
        let (numbers, all) = match self {
            Self::Unmanaged => (&status.unmanaged_numbers, status.unmanaged?),
            Self::Orphaned => (&status.orphaned_numbers, status.orphaned?),
        };
        let listed = i64::try_from(numbers.len()).unwrap_or(i64::MAX);
        Some(Listed {
            numbers,
            unlisted: all.saturating_sub(listed).max(0),
        })
    }

    /// The same of a declared account.
    ///
    /// # Errors
    /// If the operator has not listed the account yet.
    pub(super) fn of_account(self, account: &DeclaredAccount) -> Result<Listed<'_>, Error> {
        self.of(&account.status).ok_or_else(|| Error::Missing {
            what: format!(
                "the operator has not listed the numbers of {} yet",
                account.title()
            ),
            next: "Wait until it is Ready, or ask the provider with --live".to_owned(),
        })
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Unmanaged => "unmanaged",
            Self::Orphaned => "orphaned",
        }
    }

    /// That the status of the account called `title` does not have all; `None` if it has.
    pub(super) fn rest(self, listed: &Listed<'_>, title: &str) -> Option<String> {
        let (more, word) = (listed.unlisted, self.word());
        (more > 0).then(|| format!("{more} more {word} numbers of {title} are not in its status"))
    }
}

/// The table of `list` in the status of `account`, and a line about what it does not show.
///
/// # Errors
/// If the operator has not listed the account yet.
pub(super) fn answer(account: &DeclaredAccount, list: List, bare: bool) -> Result<Answer, Error> {
    let title = account.title();
    let listed = list.of_account(account)?;
    let numbers = listed.numbers;
    let mut answer = Answer::default();
    if let Some(rest) = list.rest(&listed, &title) {
        answer.notes = vec![format!("{rest}: list them with --live.")];
    } else if numbers.is_empty() {
        let word = list.word();
        answer.notes = vec![format!("No {word} numbers found in {title}.")];
    }
    if !numbers.is_empty() {
        let now = Timestamp::now();
        let rows: Vec<_> = numbers.iter().map(|number| row(number, now)).collect();
        answer.output = table(&HEADINGS, &rows, bare);
    }
    Ok(answer)
}

fn row(number: &UnheldNumber, now: Timestamp) -> Vec<String> {
    let cost = number.monthly_cost.as_ref();
    let monthly = cost.map_or(UNKNOWN.to_owned(), |cost| {
        shown(&format!("{} {}", cost.amount, cost.currency))
    });
    vec![
        shown(&number.phone_number),
        shown(&number.id),
        monthly,
        age(number.since.as_ref().map(|since| since.0), now),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use phonenumber_api::{AccountKind, AccountSpec};
    use serde_json::json;

    fn account(status: serde_json::Value) -> DeclaredAccount {
        let spec = json!({"provider": "twilio", "twilio": {"credentialsSecretRef": {"name": "a"}}});
        let spec: AccountSpec = serde_json::from_value(spec).unwrap();
        DeclaredAccount {
            kind: AccountKind::ProviderAccount,
            name: "twilio".into(),
            spec,
            status: serde_json::from_value(status).unwrap(),
            secrets_in: "support".into(),
        }
    }

    #[test]
    fn what_the_status_does_not_show_is_said() {
        let number = json!({"phoneNumber": "+12125550100", "id": "PN1",
            "monthlyCost": {"amount": "1.15", "currency": "USD"}});
        let status = json!({"unmanaged": 3, "unmanagedNumbers": [number], "orphaned": 0});
        let known = account(status);
        let unmanaged = answer(&known, List::Unmanaged, true).unwrap();
        assert_eq!(
            unmanaged.output,
            "+12125550100   PN1   1.15 USD   <unknown>\n"
        );
        let more = "2 more unmanaged numbers of ProviderAccount support/twilio are not in its status: list them with --live.";
        assert_eq!(unmanaged.notes, [more]);
        let orphaned = answer(&known, List::Orphaned, false).unwrap();
        let none = "No orphaned numbers found in ProviderAccount support/twilio.";
        assert_eq!(
            (orphaned.output.as_str(), &orphaned.notes[..]),
            ("", &[none.to_owned()][..])
        );
        let error = answer(&account(json!({})), List::Orphaned, false).unwrap_err();
        assert!(error.to_string().contains("--live"), "{error}");
    }
}
