mod purchases;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::future::join_all;
use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::number::{
    Amount, E164, Holding, Installation, Line, Mark, NumberId, Origin, Owner, Settings,
    TwilioSettings,
};
use crate::provider::http::{Client, Request, Response, Transport, TransportError};
use crate::provider::twilio::TwilioCredentials;
use crate::testing::TokioClock;
use purchases::of_key;

const SID: &str = "AC00000000000000000000000000000001";
const INTERVAL: Duration = Duration::from_secs(60);
const VISIBILITY: Duration = Duration::from_secs(600);

type Answer = Result<Response, TransportError>;

/// A provider that answers everything alike, after a while.
struct Company {
    takes: Duration,
    answer: Mutex<Box<dyn Fn() -> Answer + Send>>,
    requests: AtomicUsize,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

#[async_trait]
impl Transport for Company {
    async fn send(&self, _: Request) -> Answer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_once.fetch_max(under_way, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        lock(&self.answer)()
    }
}

impl Company {
    fn answers(&self, answer: impl Fn() -> Answer + Send + 'static) {
        *lock(&self.answer) = Box::new(answer);
    }

    fn requests(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

fn status(status: u16, body: &serde_json::Value, headers: &[(&str, &str)]) -> Answer {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Ok(Response {
        status,
        headers: headers.collect(),
        body: body.to_string().into_bytes(),
    })
}

fn refused() -> Answer {
    let body = json!({"code": 20003, "message": "Authenticate", "status": 401});
    status(401, &body, &[])
}

/// A page of numbers, which is how Twilio shows whose account it is.
fn opens() -> Answer {
    let sid = "PN00000000000000000000000000000001";
    let row = json!({
        "sid": sid, "account_sid": SID, "phone_number": "+12125550100", "friendly_name": "x",
        "uri": format!("/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers/{sid}.json"),
    });
    let body = json!({"incoming_phone_numbers": [row], "next_page_uri": null, "page": 0, "page_size": 1,
        "uri": format!("/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers.json")});
    status(200, &body, &[])
}

fn world(takes: Duration, answer: fn() -> Answer) -> (Arc<Company>, Arc<Accounts>) {
    let company = Arc::new(Company {
        takes,
        answer: Mutex::new(Box::new(answer)),
        requests: AtomicUsize::default(),
        under_way: AtomicUsize::default(),
        most_at_once: AtomicUsize::default(),
    });
    let clock = Arc::new(TokioClock::default());
    let client = Client::new(
        company.clone(),
        Arc::new(|| Ok(())),
        clock.clone(),
        Duration::from_secs(30),
    );
    let accounts = Accounts::new(client, Endpoints::default(), clock, INTERVAL, VISIBILITY);
    (company, Arc::new(accounts))
}

fn token(token: &str) -> Credentials {
    Credentials::Twilio(TwilioCredentials {
        account_sid: SID.to_owned(),
        username: SID.to_owned(),
        password: SecretString::from(token),
    })
}

/// What each of so many resources gets that use one credential at once.
async fn opened_by(
    resources: usize,
    accounts: &Accounts,
    credentials: &Credentials,
) -> Vec<Result<Arc<Account>, Error>> {
    join_all((0..resources).map(|_| accounts.open(credentials))).await
}

async fn sleep(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_tried_once_and_then_once_an_interval() {
    let (company, accounts) = world(Duration::from_millis(20), refused);
    for _ in 0..10 {
        for verdict in opened_by(300, &accounts, &token("wrong")).await {
            assert!(matches!(verdict, Err(Error::Unauthorized(_))));
        }
        sleep(5).await;
    }
    assert_eq!(company.requests(), 1);
    sleep(60).await;
    opened_by(300, &accounts, &token("wrong")).await;
    assert_eq!(company.requests(), 1);

    company.answers(opens);
    let opened = opened_by(300, &accounts, &token("right")).await;
    assert!(
        opened.iter().all(Result::is_ok),
        "a changed Secret is tried at once"
    );
    assert_eq!(company.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_written_again_is_tried_at_once() {
    let (company, accounts) = world(Duration::ZERO, refused);
    opened_by(3, &accounts, &token("t")).await;
    company.answers(opens);
    assert!(accounts.open(&token("t")).await.is_err());
    accounts.try_again(&token("other").fingerprint());
    assert!(accounts.open(&token("t")).await.is_err());
    accounts.try_again(&token("t").fingerprint());
    assert!(accounts.open(&token("t")).await.is_ok());
    assert_eq!(company.requests(), 2);
}

/// Every reconcile would wait its ten seconds after all the others.
#[tokio::test(start_paused = true)]
async fn a_provider_that_swallows_requests_is_waited_for_once() {
    let silent = || Err(TransportError::Lost("no answer".into()));
    let (company, accounts) = world(Duration::from_secs(3600), silent);
    let begun = tokio::time::Instant::now();
    for error in opened_by(300, &accounts, &token("t")).await {
        assert!(matches!(error, Err(Error::Unavailable(_))));
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    assert_eq!(company.requests(), 1);
    // Those that come again find that out together, and seldom.
    for _ in 0..600 {
        opened_by(5, &accounts, &token("t")).await;
        sleep(1).await;
    }
    assert!(
        company.requests() <= 30,
        "of ten seconds each, in at least 600 s"
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_that_was_known_goes_on_while_the_provider_swallows_requests() {
    let (company, accounts) = world(Duration::ZERO, opens);
    assert!(accounts.open(&token("t")).await.is_ok());
    company.requests();
    sleep(100).await;
    company.answers(|| Err(TransportError::Lost("no answer".into())));
    for _ in 0..10 {
        let opened = opened_by(30, &accounts, &token("t")).await;
        assert!(opened.iter().all(Result::is_ok));
    }
    assert_eq!(company.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_revoked_is_found_out_by_one_request() {
    let (company, accounts) = world(Duration::ZERO, opens);
    let account = accounts.open(&token("t")).await.unwrap();
    company.answers(refused);
    let refused = account
        .list(account.clock.now() + Duration::from_secs(1))
        .await;
    assert!(matches!(refused, Err(Error::Unauthorized(_))));
    company.requests();
    for verdict in opened_by(300, &accounts, &token("t")).await {
        assert!(matches!(verdict, Err(Error::Unauthorized(_))));
    }
    assert_eq!(company.requests(), 1);
}

/// It lacks single rights: asking which account it opens would not show that, however often.
#[tokio::test(start_paused = true)]
async fn a_credential_with_few_rights_is_not_asked_about_after_each_refusal() {
    let (company, accounts) = world(Duration::ZERO, opens);
    let account = accounts.open(&token("t")).await.unwrap();
    company.requests();
    for _ in 0..20 {
        let unauthorized = Error::Unauthorized(crate::provider::Refusal {
            kind: crate::provider::RefusalKind::Unauthorized,
            code: "70051".into(),
            text: "no right".into(),
            request_id: None,
        });
        assert!(account.note_rate_limit::<()>(Err(unauthorized)).is_err());
        assert!(accounts.open(&token("t")).await.is_ok());
        sleep(1).await;
    }
    assert_eq!(company.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_one_credential_may_not_do_says_nothing_of_another() {
    let (company, accounts) = world(Duration::ZERO, opens);
    let good = accounts.open(&token("good")).await.unwrap();
    let revoked = accounts.open(&token("revoked")).await.unwrap();
    company.answers(refused);
    let since = good.clock.now() + Duration::from_secs(1);
    sleep(2).await;
    assert!(revoked.list(since).await.is_err());
    company.requests();
    assert!(revoked.list(since).await.is_err());
    assert_eq!(company.requests(), 0, "its refusal stands for itself");
    company.answers(opens);
    assert_eq!(good.list(since).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn identification_heeds_a_pause_and_asks_for_a_permit() {
    let (company, accounts) = world(Duration::from_secs(1), opens);
    let account = accounts.open(&token("a")).await.unwrap();
    let throttled = Err::<(), _>(Error::Throttled(Some(Duration::from_secs(30))));
    assert!(account.note_rate_limit(throttled).is_err());
    company.requests();
    // A new credential of the account.
    let paused = accounts.open(&token("b")).await;
    assert!(matches!(paused, Err(Error::Throttled(Some(_)))));
    assert_eq!(company.requests(), 0);
    sleep(31).await;
    account.limit_requests(1);
    let names = ["b", "c", "d"].map(token);
    let opened = join_all(names.iter().map(|credentials| accounts.open(credentials))).await;
    assert!(opened.iter().all(Result::is_ok));
    assert_eq!(company.most_at_once.load(Ordering::Relaxed), 1);

    company.answers(|| status(429, &json!({}), &[("retry-after", "30")]));
    sleep(100).await;
    company.requests();
    let fresh = Credentials::Telnyx(SecretString::from("k"));
    for _ in 0..25 {
        assert!(matches!(
            accounts.open(&fresh).await,
            Err(Error::Throttled(_))
        ));
        sleep(1).await;
    }
    assert_eq!(company.requests(), 1, "nor while it was told to wait");
}

#[tokio::test(start_paused = true)]
async fn the_later_of_two_pauses_holds() {
    let (_, accounts) = world(Duration::ZERO, opens);
    let account = accounts.open(&token("t")).await.unwrap();
    for pause in [Some(Duration::from_secs(60)), None] {
        assert!(
            account
                .note_rate_limit::<()>(Err(Error::Throttled(pause)))
                .is_err()
        );
    }
    sleep(59).await;
    assert!(account.permit(Priority::High).await.is_err());
    sleep(1).await;
    assert!(account.permit(Priority::High).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_for_a_permit_heed_a_pause_that_comes_meanwhile() {
    let (_, accounts) = world(Duration::ZERO, opens);
    let account = accounts.open(&token("t")).await.unwrap();
    account.limit_requests(1);
    let out = account.permit(Priority::High).await.unwrap();
    let (waited, ()) = futures::join!(account.permit(Priority::High), async {
        let throttled = Err::<(), _>(Error::Throttled(None));
        assert!(account.note_rate_limit(throttled).is_err());
        drop(out);
    });
    assert!(matches!(waited, Err(Error::Throttled(_))));
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_nothing_uses_is_forgotten_with_its_client() {
    let (company, accounts) = world(Duration::ZERO, opens);
    let account = accounts.open(&token("old")).await.unwrap();
    accounts.open(&token("new")).await.unwrap();
    let client = Arc::downgrade(&account.provider_api);
    drop(account);
    accounts.keep_only(&HashSet::from([token("new").fingerprint()]), |_| true);
    assert!(client.upgrade().is_none(), "it holds the secret");
    company.requests();
    accounts.open(&token("new")).await.unwrap();
    assert_eq!(company.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_counts_was_listed_within_an_interval() {
    let (company, accounts) = world(Duration::ZERO, opens);
    let account = accounts.open(&token("t")).await.unwrap();
    for (pause, listings) in [(0, 2), (INTERVAL.as_secs(), 0), (1, 1), (600, 1)] {
        sleep(pause).await;
        company.requests();
        account.count().await.unwrap();
        assert_eq!(company.requests(), listings, "after {pause} s");
    }
}

/// The claims that placed them are lost, so the mark alone tells, and no date.
#[tokio::test(start_paused = true)]
async fn one_listing_of_orders_tells_all_that_ask_which_carry_their_mark() {
    let mark = |name: &str| {
        let owner = Owner {
            namespace: "support".into(),
            name: name.into(),
        };
        Mark::new(Origin::Bought, &Installation::new("here"), &owner)
    };
    let (company, accounts) = world(Duration::from_millis(20), opens);
    let account = of_key(&accounts, "1", true);
    company.answers(move || {
        let order = |id: &str, state: &str, name: &str| {
            json!({
                "id": id, "status": state, "customer_reference": format!("{}.0123456789abcdef", mark(name)),
                "phone_numbers": [{"phone_number": "+12125550100", "status": state}],
                "created_at": "2026-01-02T03:04:05Z",
            })
        };
        let body = json!({
            "data": [order("o-1", "pending", "nyc"), order("o-2", "success", "nyc"), order("o-3", "failure", "nyc"),
                order("o-4", "pending", "bos")],
            "meta": {"page_number": 1, "total_pages": 1, "total_results": 4},
        });
        status(200, &body, &[])
    });
    let now = account.clock.now();
    let (nyc, bos, sfo) = (mark("nyc"), mark("bos"), mark("sfo"));
    let ask = |mark, not_before| {
        let account = Arc::clone(&account);
        async move {
            let orders = account.marked_orders(mark, not_before).await.unwrap();
            let ids = orders.iter().map(|order| order.id.to_string());
            ids.collect::<Vec<_>>()
        }
    };
    let asked = (0..300).map(|_| join_all([ask(&nyc, now), ask(&bos, now), ask(&sfo, now)]));
    for found in join_all(asked).await {
        assert_eq!(found, [vec!["o-1", "o-2"], vec!["o-4"], vec![]]);
    }
    assert_eq!(company.requests(), 1);
    sleep(1).await;
    ask(&nyc, account.clock.now()).await;
    assert_eq!(
        company.requests(),
        1,
        "what was listed before is asked for again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_balance_that_is_enough_serves_for_ten_minutes_and_any_other_for_one() {
    let (company, accounts) = world(Duration::from_millis(20), opens);
    let account = accounts.open(&token("t")).await.unwrap();
    let told = |amount: &'static str| {
        let body = json!({"account_sid": SID, "balance": amount, "currency": "USD"});
        move || status(200, &body, &[])
    };
    company.answers(told("3"));
    company.requests();
    let price = crate::number::Price::read("1", "1", "USD");
    let shown = |asked: Result<Option<Balance>, Error>| asked.unwrap().unwrap().to_string();
    join_all((0..50).map(|_| account.balance_for(None, Amount::ZERO))).await;
    assert_eq!(
        shown(account.balance_for(None, Amount::ZERO).await),
        "3 USD"
    );
    assert_eq!(company.requests(), 1);
    sleep(599).await;
    let one = Amount::read("1").unwrap();
    assert_eq!(
        shown(account.balance_for(price.as_ref(), one).await),
        "3 USD"
    );
    assert_eq!(company.requests(), 0);
    // Too little for a dearer number: what is known is too old by now.
    company.answers(told("10"));
    let two = Amount::read("2").unwrap();
    join_all((0..50).map(|_| account.balance_for(price.as_ref(), two))).await;
    assert_eq!(
        shown(account.balance_for(price.as_ref(), two).await),
        "10 USD"
    );
    assert_eq!(company.requests(), 1);
    // What was bought since is not in it, so after six of these too little is left.
    for left in ["8 USD", "6 USD", "4 USD"] {
        account.spent(price.as_ref().unwrap());
        assert_eq!(shown(account.balance_for(None, Amount::ZERO).await), left);
    }
    assert_eq!(
        shown(account.balance_for(price.as_ref(), two).await),
        "4 USD"
    );
    assert_eq!(company.requests(), 0);
    account.spent(price.as_ref().unwrap());
    sleep(60).await;
    assert_eq!(
        shown(account.balance_for(price.as_ref(), two).await),
        "10 USD"
    );
    assert_eq!(company.requests(), 1);
    // What could not be read is asked for again after a minute, and a refusal is an answer.
    company.answers(|| status(503, &json!({"code": 20500, "message": "no"}), &[]));
    sleep(600).await;
    assert!(account.balance_for(None, Amount::ZERO).await.is_err());
    assert!(account.balance_for(None, Amount::ZERO).await.is_err());
    assert_eq!(company.requests(), 1);
    company.answers(opens);
    sleep(60).await;
    accounts.open(&token("t")).await.unwrap();
    company.answers(refused);
    assert_eq!(account.balance_for(None, Amount::ZERO).await, Ok(None));
    assert!(
        accounts.open(&token("t")).await.is_ok(),
        "a credential that may not read the balance is none that was refused"
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_that_has_shown_its_account_opens_it_while_nothing_shows_it() {
    let shows = || {
        let row = json!({"id": "1", "organization_id": "org-1"});
        status(200, &json!({ "data": [row] }), &[])
    };
    let (company, accounts) = world(Duration::from_millis(20), shows);
    let key = |key: &str| Credentials::Telnyx(SecretString::from(key));
    let account = accounts.open(&key("one")).await.unwrap();
    assert_eq!(account.identity().account.as_str(), "org-1");
    company.answers(|| status(200, &json!({"data": []}), &[]));
    sleep(600).await;
    company.requests();
    let again = accounts.open(&key("one")).await.unwrap();
    assert!(company.requests() > 0, "it is asked again");
    assert!(Arc::ptr_eq(&account, &again));
    let other = accounts.open(&key("other")).await.unwrap();
    assert!(
        !other.identity().proved,
        "another key may open another account"
    );
}
