//! The claim on a number: what is written on the resource before money is spent, and the token that only the stored
//! form yields. Pure.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::Instant;
use crate::number::{AccountId, E164, NumberId, Owner, Price};
use crate::safeguards::{Safeguard, is_enabled};

/// The annotation that holds the claim.
pub const ANNOTATION: &str = "telephony.burki.dev/claim";

/// The only version this program writes or acts on.
const VERSION: i64 = 1;

/// The longest account id, UID and nonce of a claim. UUIDs are the longest that are written.
const MOST_BYTES: usize = 64;

/// How far two clocks of one provider may lie apart.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(60);

/// So many characters of a nonce are the same in all attempts on one number.
const NONCE_KEPT: usize = 16;

/// The longest time between sending the claiming write and spending on it. A process that was frozen in between must
/// not spend on a claim that another process may have judged by now.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(5);

/// What the claimed number is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Intent {
    /// To pay for it.
    Buy,
    /// To take it over: the account holds it already.
    Adopt,
}

/// One attempt on one number, stored on the resource before the attempt begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The version of this form.
    pub version: i64,
    /// What the number is wanted for.
    pub intent: Intent,
    /// The number.
    pub number: E164,
    /// The provider account that pays.
    pub account_id: AccountId,
    /// `namespace/name` of the resource; a copied manifest carries another's.
    pub owner: String,
    /// UID of the resource; a restored one has another.
    pub uid: String,
    /// Unique to the attempt.
    pub nonce: String,
    /// When the claim was written, by the API server's clock.
    pub at: Timestamp,
    /// When the first attempt on this number was claimed, by the provider's clock.
    pub since: Timestamp,
    /// What the number costs, as far as that was known when it was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// How many attempts on this number came before that may have bought it. The pause before the next one grows with it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts_before: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(attempts: &u32) -> bool {
    *attempts == 0
}

/// What the annotation of a resource says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// There is no claim, or one that another resource's manifest was copied with.
    Nothing,
    /// A claim of this very resource.
    Ours(Claim),
    /// A claim of a resource of this name that was deleted or lost: a restore from backup.
    EarlierUid(Claim),
    /// A claim that cannot be read: possibly an attempt.
    Unreadable,
    /// A claim of a later program: possibly an attempt, and not for us to judge.
    Newer(i64),
}

impl Stored {
    /// The claim of this resource, under whichever UID it was made.
    pub fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Ours(claim) | Self::EarlierUid(claim) => Some(claim),
            Self::Nothing | Self::Unreadable | Self::Newer(_) => None,
        }
    }
}

impl Claim {
    /// A claim of `owner` for a purchase.
    pub fn to_buy(
        number: E164,
        account_id: AccountId,
        owner: &Owner,
        uid: &str,
        nonce: String,
        at: Timestamp,
        since: Timestamp,
    ) -> Self {
        Self {
            version: VERSION,
            intent: Intent::Buy,
            number,
            account_id,
            owner: owner.to_string(),
            uid: uid.to_owned(),
            nonce,
            at,
            since,
            price: None,
            attempts_before: 0,
        }
    }

    /// The same claim, after so many attempts on its number that may have bought it.
    #[must_use]
    pub fn after(self, attempts_before: u32) -> Self {
        Self {
            attempts_before,
            ..self
        }
    }

    /// True if the attempt of this claim, or one before it on the same number, may have bought the number.
    pub fn may_have_bought(&self) -> bool {
        self.intent == Intent::Buy || self.attempts_before > 0
    }

    /// How many attempts on `number` this claim tells of, its own included if it is one.
    pub fn attempts_on(&self, number: &E164) -> u32 {
        if self.number != *number {
            return 0;
        }
        let own = u32::from(self.intent == Intent::Buy);
        self.attempts_before.saturating_add(own)
    }

    /// The nonce of the next attempt on the same number: it begins like the nonce of this one and ends like `fresh`. So the
    /// reference of an order leads to the claim, whichever attempt placed it.
    pub fn next_nonce(&self, fresh: &str) -> String {
        let kept = self.nonce.get(..NONCE_KEPT);
        let new = fresh.get(NONCE_KEPT..);
        kept.zip(new)
            .map_or_else(|| fresh.to_owned(), |(kept, new)| format!("{kept}{new}"))
    }

    /// True if an order with this reference, a mark, a dot and a nonce, was placed on this claim or on an earlier one of the same
    /// number.
    pub fn has_placed(&self, reference: &str) -> bool {
        is_placed_with(&self.nonce, reference)
    }

    /// True if this claim, or an earlier one of the same number, may have placed the order with this reference that the
    /// provider dates so.
    pub fn may_have_placed(&self, reference: &str, created: Option<Timestamp>) -> bool {
        let is_older = |created: Timestamp| self.since.duration_since(created) > CLOCKS_APART;
        self.has_placed(reference) || !created.is_some_and(is_older)
    }

    /// The same claim, on a number that costs this, as far as that is known.
    pub fn at_price(self, price: Option<Price>) -> Self {
        Self { price, ..self }
    }

    /// The same claim, to take the number over instead.
    pub fn to_adopt(self) -> Self {
        Self {
            intent: Intent::Adopt,
            ..self
        }
    }

    /// Reads the claim of the resource `owner` with `uid` from its annotations.
    pub fn read(annotations: &BTreeMap<String, String>, owner: &Owner, uid: &str) -> Stored {
        #[derive(Deserialize)]
        struct Version {
            version: i64,
        }
        let Some(text) = annotations.get(ANNOTATION) else {
            return Stored::Nothing;
        };
        match serde_json::from_str::<Version>(text) {
            Ok(found) if found.version > VERSION => return Stored::Newer(found.version),
            Ok(found) if found.version == VERSION => {}
            _ => return Stored::Unreadable,
        }
        match serde_json::from_str::<Self>(text) {
            Ok(claim) if !claim.is_bounded() => Stored::Unreadable,
            Err(_) => Stored::Unreadable,
            Ok(claim) if claim.owner != owner.to_string() => Stored::Nothing,
            Ok(claim) if claim.uid != uid => Stored::EarlierUid(claim),
            Ok(claim) => Stored::Ours(claim),
        }
    }

    /// False for texts that this program never writes, and that would be kept and shown.
    fn is_bounded(&self) -> bool {
        let is_plain = |text: &str| {
            let mut bytes = text.bytes();
            text.len() <= MOST_BYTES
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        is_plain(self.account_id.as_str()) && is_plain(&self.nonce) && is_plain(&self.uid)
    }

    /// The value of the annotation.
    ///
    /// # Errors
    /// None that is known: every field has a JSON form.
    pub fn to_annotation(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// True if an order with this reference was placed on the claim with this nonce or on an earlier one of the same number.
pub fn is_placed_with(nonce: &str, reference: &str) -> bool {
    let begin = |nonce: &str| nonce.get(..NONCE_KEPT).unwrap_or(nonce).to_owned();
    let placed = reference.rsplit_once('.').map(|(_, nonce)| nonce);
    placed.is_some_and(|placed| begin(placed) == begin(nonce))
}

/// The right to one purchase on one claim. It exists only where the API server's reply to the claiming write showed
/// the claim stored, it is spent by value, and it ages.
#[derive(Debug)]
pub struct Token {
    claim: Claim,
    sent: Instant,
}

impl Token {
    /// Makes the token from the annotations in the reply to the write of `claim`, which was sent at `sent`.
    /// `None` if the reply does not show exactly that claim.
    pub fn from_reply(
        annotations: &BTreeMap<String, String>,
        claim: Claim,
        sent: Instant,
    ) -> Option<Self> {
        let stored = serde_json::from_str::<Claim>(annotations.get(ANNOTATION)?).ok()?;
        (stored == claim).then_some(Self { claim, sent })
    }

    /// The stored claim.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// True while the claiming write was sent less than [`TOKEN_LIFETIME`] ago.
    pub fn is_fresh(&self, now: Instant) -> bool {
        now.since(self.sent) < TOKEN_LIFETIME || !is_enabled(Safeguard::TokenAge)
    }
}

/// The right to one release of one number. It exists only where the API server's reply to a write that carried the version
/// which the decision was made on showed the number recorded, it is spent by value, and it ages.
#[derive(Debug)]
pub struct ReleaseToken {
    number: NumberId,
    sent: Instant,
}

impl ReleaseToken {
    /// Makes the token from the id that the reply to the write records, which was sent at `sent`. `None` if that is not the id
    /// of `number`.
    pub fn of_reply(recorded: Option<&str>, number: &NumberId, sent: Instant) -> Option<Self> {
        (recorded == Some(number.as_str())).then(|| Self {
            number: number.clone(),
            sent,
        })
    }

    /// The number that may be released.
    pub fn number(&self) -> &NumberId {
        &self.number
    }

    /// The instant from which on the release must not leave any more.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the sum of an instant and a duration saturates"
    )]
    pub fn ends(&self) -> Instant {
        self.sent + TOKEN_LIFETIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A takeover that is claimed again, or that a purchase follows on, may still be of what an attempt has bought.
    #[test]
    fn a_claim_of_any_intent_carries_the_attempts_before_it_on() {
        let number: E164 = "+12125550100".parse().unwrap();
        let other: E164 = "+12125550101".parse().unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let account = AccountId::new("AC1");
        let bought = Claim::to_buy(number, account, &owner(), "u1", "n1".into(), at, at);
        for (claim, attempts) in [
            (bought.clone(), 1),
            (bought.clone().after(2), 3),
            (bought.clone().to_adopt(), 0),
            (bought.to_adopt().after(2), 2),
        ] {
            assert_eq!(claim.attempts_on(&number), attempts, "{claim:?}");
            assert_eq!(claim.may_have_bought(), attempts > 0);
            assert_eq!(claim.attempts_on(&other), 0);
        }
    }

    fn owner() -> Owner {
        Owner {
            namespace: "support".into(),
            name: "nyc".into(),
        }
    }

    fn claim() -> Claim {
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        let number = "+12125551234".parse().unwrap();
        Claim::to_buy(
            number,
            AccountId::new("AC1"),
            &owner(),
            "u1",
            "n1".into(),
            at,
            at,
        )
        .at_price(Price::read("1.15", "0.50", "USD"))
    }

    fn annotations(text: String) -> BTreeMap<String, String> {
        BTreeMap::from([(ANNOTATION.to_owned(), text)])
    }

    #[test]
    fn what_cannot_be_read_is_never_taken_for_nothing() {
        let text = claim().to_annotation().unwrap();
        let table = [
            (text.clone(), Stored::Ours(claim())),
            (
                text.replace("u1", "u0"),
                Stored::EarlierUid(Claim {
                    uid: "u0".into(),
                    ..claim()
                }),
            ),
            (
                text.replace("support/nyc", "support/other"),
                Stored::Nothing,
            ),
            (
                text.replace("\"version\":1", "\"version\":2"),
                Stored::Newer(2),
            ),
            (
                claim().at_price(None).to_annotation().unwrap(),
                Stored::Ours(claim().at_price(None)),
            ),
            (
                claim().after(3).to_annotation().unwrap(),
                Stored::Ours(claim().after(3)),
            ),
            (text.replace("1.15", "-1.15"), Stored::Unreadable),
            (
                text.replace("1.15", "79228162514264337593543950335"),
                Stored::Unreadable,
            ),
            (
                text.replace("\"0.5\"", "\"1000000000\""),
                Stored::Unreadable,
            ),
            (text.replace("AC1", "AC1\\u001b[2J"), Stored::Unreadable),
            (text.replace("AC1", &"A".repeat(65)), Stored::Unreadable),
            (text.replace("n1", &"n".repeat(65)), Stored::Unreadable),
            (text.replace("u1", "\u{200b}"), Stored::Unreadable),
            (
                text.replace("\"version\":1", "\"version\":0"),
                Stored::Unreadable,
            ),
            (text.replace("+1212", "1212"), Stored::Unreadable),
            ("{".into(), Stored::Unreadable),
            (String::new(), Stored::Unreadable),
        ];
        for (text, stored) in table {
            assert_eq!(
                Claim::read(&annotations(text.clone()), &owner(), "u1"),
                stored,
                "{text}"
            );
        }
        assert_eq!(
            Claim::read(&BTreeMap::new(), &owner(), "u1"),
            Stored::Nothing
        );
    }

    #[test]
    fn an_order_leads_to_the_claim_whichever_attempt_placed_it() {
        let nonce = |digit: char| digit.to_string().repeat(32);
        let first = Claim {
            nonce: nonce('a'),
            ..claim()
        };
        let second = Claim {
            nonce: first.next_nonce(&nonce('b')),
            ..claim()
        };
        assert_eq!(
            second.nonce,
            format!("{}{}", "a".repeat(16), "b".repeat(16))
        );
        let reference = |claim: &Claim| format!("pn1.aaaaaa.bbbbbbbbbbbbb.{}", claim.nonce);
        for placed in [&first, &second] {
            assert!(first.has_placed(&reference(placed)) && second.has_placed(&reference(placed)));
        }
        let other = Claim {
            nonce: nonce('c'),
            ..claim()
        };
        assert!(!first.has_placed(&reference(&other)) && !first.has_placed("a text"));
        let before = |seconds| {
            first
                .since
                .checked_sub(SignedDuration::from_secs(seconds))
                .ok()
        };
        for (placed, created, may) in [
            (&first, before(3600), true),
            (&other, before(60), true),
            (&other, before(61), false),
            (&other, None, true),
        ] {
            assert_eq!(first.may_have_placed(&reference(placed), created), may);
        }
    }

    #[test]
    fn a_token_needs_the_stored_claim() {
        let sent = Instant::since_boot(Duration::from_secs(9));
        let other = Claim {
            nonce: "n2".into(),
            ..claim()
        };
        let reply = annotations(other.to_annotation().unwrap());
        assert!(Token::from_reply(&reply, claim(), sent).is_none());
        assert!(Token::from_reply(&BTreeMap::new(), claim(), sent).is_none());
        assert!(Token::from_reply(&reply, other, sent).is_some());
    }

    #[test]
    fn a_release_needs_the_number_recorded() {
        let (sent, number) = (
            Instant::since_boot(Duration::from_secs(9)),
            NumberId::new("PN1"),
        );
        for recorded in [None, Some("PN2"), Some("")] {
            assert!(ReleaseToken::of_reply(recorded, &number, sent).is_none());
        }
        let token = ReleaseToken::of_reply(Some("PN1"), &number, sent).unwrap();
        assert_eq!(token.number(), &number);
        assert_eq!(token.ends(), sent + Duration::from_secs(5));
    }

    #[test]
    fn a_token_is_stale_after_five_seconds() {
        let sent = Instant::since_boot(Duration::from_secs(9));
        let reply = annotations(claim().to_annotation().unwrap());
        let token = Token::from_reply(&reply, claim(), sent).unwrap();
        assert!(token.is_fresh(sent + Duration::from_millis(4999)));
        assert!(!token.is_fresh(sent + Duration::from_secs(5)));
    }
}
