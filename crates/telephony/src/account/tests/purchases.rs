//! What counts against the limits of an account: purchases that a listing has not shown yet.

use super::*;

/// Resources that tell nothing.
struct Silent;

impl OtherClaims for Silent {
    fn is_own(&self, _: &E164) -> bool {
        false
    }

    fn is_counted(&self, _: &E164) -> bool {
        false
    }

    fn visit_claims(&self, _: &mut dyn ClaimVisitor) {}
}

fn buys(account: &Arc<Account>, number: &str, whom: &str) -> Result<PendingPurchase, BeginError> {
    let whom = Owner {
        namespace: "support".into(),
        name: whom.into(),
    };
    let dollar = Amount::read("1").unwrap();
    let always = Some(|_: Usage| true);
    account.spend(&number.parse().unwrap(), &whom, dollar, &Silent, always)
}

/// An account at Telnyx that this key opens, by a hash of the key or as it is known once it is proved.
pub(super) fn of_key(accounts: &Accounts, key: &str, proved: bool) -> Arc<Account> {
    let credentials = Credentials::Telnyx(SecretString::from(key));
    let company = Arc::clone(&accounts.opening(&credentials).provider_api);
    let alias = AccountId::new(format!("key-{key}"));
    let identity = Identity {
        account: if proved {
            AccountId::new("organization")
        } else {
            alias.clone()
        },
        alias: Some(alias),
        proved,
    };
    Arc::new(accounts.account(identity, credentials.fingerprint(), company))
}

#[tokio::test(start_paused = true)]
async fn what_two_keys_bought_counts_once_they_prove_to_be_of_one_account() {
    let (_, accounts) = world(Duration::ZERO, opens);
    let (one, two) = (of_key(&accounts, "1", false), of_key(&accounts, "2", false));
    buys(&one, "+12125550101", "a").unwrap().stands();
    buys(&two, "+12125550102", "b").unwrap().stands();
    let under_way = buys(&two, "+12125550103", "c").unwrap();
    let first = of_key(&accounts, "1", true);
    assert_eq!(first.tally(&Silent).numbers, 1);
    let second = of_key(&accounts, "2", true);
    for account in [&first, &second, &two] {
        let tally = account.tally(&Silent);
        let monthly = tally.monthly.to_string();
        assert_eq!((tally.numbers, monthly.as_str()), (3, "3"));
    }
    let rival = buys(&first, "+12125550103", "d").err();
    assert!(matches!(rival, Some(BeginError::UnderWay(_))));
    drop(under_way);
    assert_eq!(first.tally(&Silent).numbers, 2, "it was not bought");
    assert!(buys(&first, "+12125550103", "d").is_ok());
    let names = ["key-1", "key-2", "organization"].map(AccountId::new);
    assert_eq!(second.names(), names);
}

#[tokio::test(start_paused = true)]
async fn a_purchase_counts_no_more_once_its_number_was_listed_and_is_gone() {
    let (company, accounts) = world(Duration::ZERO, opens);
    let account = accounts.open(&token("t")).await.unwrap();
    let held = || account.tally(&Silent).numbers;
    // The page shows this number.
    buys(&account, "+12125550100", "a").unwrap().stands();
    buys(&account, "+12125550101", "b").unwrap().stands();
    assert_eq!(held(), 2);
    let list = async || {
        sleep(10).await;
        account.list(account.clock.now()).await.unwrap();
    };
    list().await;
    assert_eq!(held(), 2);
    company.answers(|| {
        let body = json!({"incoming_phone_numbers": [], "next_page_uri": null, "page": 0, "page_size": 1,
            "uri": format!("/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers.json")});
        status(200, &body, &[])
    });
    list().await;
    assert_eq!(held(), 2, "one listing may be wrong");
    list().await;
    assert_eq!(held(), 1, "the other was never listed");
    account.stop_counting(&"+12125550101".parse().unwrap());
    assert_eq!(held(), 0);
}

/// At the limit nobody begins another purchase, which would clear away what is over.
#[tokio::test(start_paused = true)]
async fn a_purchase_that_nothing_shows_counts_until_the_visibility_period_is_over() {
    let (_, accounts) = world(Duration::ZERO, opens);
    let account = accounts.open(&token("t")).await.unwrap();
    let counted = || {
        let known = accounts.known(&AccountId::new(SID)).unwrap();
        let tally = account.tally(&Silent);
        (tally.numbers, known.numbers, tally.monthly.to_string())
    };
    let under_way = buys(&account, "+12125550101", "a").unwrap();
    buys(&account, "+12125550102", "b").unwrap().stands();
    let second = Duration::from_secs(1);
    tokio::time::sleep(VISIBILITY - second).await;
    assert_eq!(counted(), (2, 2, "2".into()));
    tokio::time::sleep(second).await;
    assert_eq!(counted(), (1, 1, "1".into()), "one is under way");
    under_way.stands();
    assert_eq!(counted(), (0, 0, "0".into()));
}

/// Resources that count how often they are asked, and that know of no cost.
#[derive(Default)]
struct Asked(AtomicUsize);

impl OtherClaims for Asked {
    fn is_own(&self, _: &E164) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        false
    }

    fn is_counted(&self, _: &E164) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        false
    }

    fn visit_claims(&self, _: &mut dyn ClaimVisitor) {}
}

/// Where no price is known, no status tells a cost either.
#[tokio::test(start_paused = true)]
async fn what_a_purchase_without_a_price_is_compared_with_does_not_grow() {
    let (_, accounts) = world(Duration::ZERO, opens);
    let account = accounts.open(&token("t")).await.unwrap();
    let others = Asked::default();
    let mut asked = Vec::new();
    for at in 0..200 {
        let number: E164 = format!("+1212555{at:04}").parse().unwrap();
        let whom = Owner {
            namespace: "support".into(),
            name: format!("number-{at}"),
        };
        let before = others.0.load(Ordering::Relaxed);
        let always = Some(|_: Usage| true);
        let spending = account.spend(&number, &whom, Amount::ZERO, &others, always);
        spending.unwrap().stands();
        asked.push(others.0.load(Ordering::Relaxed) - before);
        account.saw(Holding {
            id: NumberId::new(format!("PN{at}")),
            number,
            marked_text: String::new(),
            created: None,
            line: Line::Live,
            settings: Settings::Twilio(TwilioSettings::default()),
        });
    }
    assert_eq!(asked[199], asked[1], "{asked:?}");
    assert_eq!(account.tally(&others).numbers, 200);
}

/// Two resources that claim the same numbers, of which one tells no price.
struct Twice;

impl OtherClaims for Twice {
    fn is_own(&self, _: &E164) -> bool {
        false
    }

    fn is_counted(&self, _: &E164) -> bool {
        false
    }

    fn visit_claims(&self, visitor: &mut dyn ClaimVisitor) {
        let number = |last: &str| format!("+121255501{last}").parse().unwrap();
        let monthly = Amount::read("1.15").unwrap();
        visitor.visit(&number("01"), monthly, false);
        visitor.visit(&number("01"), Amount::ZERO, false);
        visitor.visit(&number("02"), Amount::ZERO, false);
        visitor.visit(&number("02"), monthly, false);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_claims_on_a_number_the_dearer_counts() {
    let (_, accounts) = world(Duration::ZERO, opens);
    let account = accounts.open(&token("t")).await.unwrap();
    let tally = account.tally(&Twice);
    assert_eq!(tally.numbers, 2);
    assert_eq!(tally.monthly, Amount::read("2.30").unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_account_that_nobody_has_any_more_is_forgotten_once_its_purchases_are_settled() {
    let (_, accounts) = world(Duration::ZERO, opens);
    let nobody = HashSet::new();
    let id = AccountId::new(SID);
    let account = accounts.open(&token("t")).await.unwrap();
    accounts.keep_only(&nobody, |_| false);
    assert!(accounts.known(&id).is_some(), "a reconcile has it");
    buys(&account, "+12125550101", "a").unwrap().stands();
    drop(account);
    accounts.keep_only(&nobody, |_| false);
    assert!(accounts.known(&id).is_some(), "a purchase may be hidden");
    sleep(3600).await;
    accounts.keep_only(&nobody, |known| *known == id);
    assert!(accounts.known(&id).is_some(), "its key may come back");
    accounts.keep_only(&nobody, |_| false);
    assert!(lock(&accounts.by_id).is_empty());
    for key in 0..100 {
        drop(of_key(&accounts, &key.to_string(), true));
        drop(of_key(&accounts, &key.to_string(), false));
    }
    accounts.keep_only(&nobody, |_| false);
    assert!(lock(&accounts.by_id).is_empty() && lock(&accounts.by_credential).is_empty());
}
