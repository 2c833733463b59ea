//! Many that want the same, and a shop that shows little of its stock at a time.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::*;
use crate::account::{Accounts, Credentials, Endpoints};
use crate::number::{Amount, Description, Provider};
use crate::provider::http::{Client, Request, Response, Transport, TransportError};
use crate::testing::TokioClock;

const ACCOUNT: &str = "AC00000000000000000000000000000001";

/// Twilio with a stock that it shows in a fixed order, what is reserved included, until it is sold.
#[derive(Default)]
struct Shop {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stock: BTreeSet<String>,
    /// How many rows it shows at most.
    rows: usize,
    /// Each search begins where the last ended.
    rotates: bool,
    begin: usize,
    fails: bool,
    /// How long a request takes besides 20 milliseconds.
    takes: Duration,
    searches: Vec<tokio::time::Instant>,
    at_once: (usize, usize),
}

impl Shop {
    fn with(stock: usize, rows: usize) -> Arc<Self> {
        let state = State {
            stock: (0..stock).map(number).collect(),
            rows,
            ..State::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
        })
    }

    async fn account(self: &Arc<Self>) -> Arc<Account> {
        let clock = Arc::new(TokioClock::default());
        let gate = Arc::new(|| Ok(()));
        let client = Client::new(self.clone(), gate, clock.clone(), Duration::from_secs(30));
        let interval = Duration::from_secs(60);
        let accounts = Accounts::new(client, Endpoints::default(), clock, interval, interval);
        let keys = [("accountSid", ACCOUNT), ("authToken", "fake-auth-token")];
        let keys = keys.map(|(key, value)| (key.to_owned(), value.to_owned().into()));
        let keys = BTreeMap::from(keys);
        let credentials = Credentials::from_keys(Provider::Twilio, &keys).unwrap();
        accounts.open(&credentials).await.unwrap()
    }

    fn searches(&self) -> usize {
        lock(&self.state).searches.len()
    }

    fn sell(&self, number: &E164) {
        assert!(
            lock(&self.state).stock.remove(number.as_str()),
            "{number:?} is sold twice"
        );
    }
}

#[async_trait]
impl Transport for Shop {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let path = request.url.path();
        let is_search = path.contains("/AvailablePhoneNumbers/");
        if is_search {
            let mut state = lock(&self.state);
            state.searches.push(tokio::time::Instant::now());
            state.at_once.0 += 1;
            state.at_once.1 = state.at_once.1.max(state.at_once.0);
        }
        let takes = lock(&self.state).takes;
        tokio::time::sleep(takes + Duration::from_millis(20)).await;
        let mut state = lock(&self.state);
        let body = if is_search {
            state.at_once.0 -= 1;
            let begin = if state.rotates { state.begin } else { 0 };
            let stock: Vec<_> = state.stock.iter().cloned().collect();
            let begin = if begin < stock.len() { begin } else { 0 };
            state.begin = begin + state.rows;
            let shown = stock.iter().skip(begin).take(state.rows);
            let shown: Vec<Value> = shown
                .map(|number| json!({"phone_number": number, "capabilities": {"voice": true, "SMS": true}}))
                .collect();
            json!({"available_phone_numbers": shown})
        } else {
            json!({"incoming_phone_numbers": [], "uri": path, "next_page_uri": null})
        };
        Ok(Response {
            status: if is_search && state.fails { 503 } else { 200 },
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        })
    }
}

fn number(at: usize) -> String {
    format!("+1212555{at:04}")
}

fn wanted() -> Search {
    serde_json::from_str(r#"{"country": "US", "areaCode": "212"}"#).unwrap()
}

async fn choose(account: &Account, random: &Random) -> Found {
    let found = account.choose(&wanted(), random, |_| true, |_| true).await;
    found.unwrap()
}

fn candidate(found: Found) -> Candidate {
    match found {
        Found::Candidate(candidate) => candidate,
        Found::Nothing => panic!("nothing is on sale"),
        Found::AllTaken => panic!("all are taken"),
        Found::TooDear(price) => panic!("{price:?} is too dear"),
    }
}

/// How many searches it takes until `count` have bought one each by reconciles of which `at_once` run at once, and the longest
/// that one of them was without a candidate.
async fn all_buy(shop: &Arc<Shop>, count: usize, at_once: usize) -> (usize, Duration) {
    let account = shop.account().await;
    let turns = Arc::new(tokio::sync::Semaphore::new(at_once));
    let random = Random::seeded(1);
    let buyers = (0..count).map(|_| {
        let (shop, account) = (Arc::clone(shop), Arc::clone(&account));
        let (turns, random) = (Arc::clone(&turns), random.clone());
        tokio::spawn(async move {
            let mut waited = Duration::ZERO;
            loop {
                let turn = turns.acquire().await.unwrap();
                match choose(&account, &random).await {
                    Found::Candidate(mut candidate) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        shop.sell(&candidate.offer.number);
                        let now = account.clock.now();
                        let number = candidate.offer.number;
                        candidate.reservation.tried(&number, now);
                        return (number, waited);
                    }
                    Found::AllTaken => {
                        drop(turn);
                        let pause = Duration::from_secs(2);
                        waited += pause;
                        tokio::time::sleep(pause).await;
                    }
                    Found::Nothing | Found::TooDear(_) => panic!("there is more on sale"),
                }
            }
        })
    });
    let bought = futures::future::join_all(buyers).await;
    let bought: Vec<_> = bought.into_iter().map(Result::unwrap).collect();
    let numbers: HashSet<_> = bought.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers.len(), count, "each has its own");
    let waited = bought.into_iter().map(|(_, waited)| waited).max();
    assert_eq!(lock(&shop.state).at_once.1, 1, "one search at a time");
    (shop.searches(), waited.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_used_up_is_asked_for_again_until_all_have_one() {
    for (rotates, rows, most) in [
        (false, 30, 100),
        (true, 30, 40),
        (false, 50, 60),
        (false, 1000, 3),
    ] {
        let shop = Shop::with(2000, rows);
        lock(&shop.state).rotates = rotates;
        let (searches, waited) = all_buy(&shop, 1000, 32).await;
        assert!(
            searches <= most,
            "{searches} searches of {rows} rows, {rotates}"
        );
        assert_eq!(waited, Duration::ZERO, "{rows} rows: nobody pauses");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_of_a_stock_is_sold_and_only_then_there_is_nothing() {
    let shop = Shop::with(40, 30);
    let (searches, waited) = all_buy(&shop, 40, 32).await;
    assert!(
        searches <= 4 && waited <= Duration::from_secs(4),
        "{searches} {waited:?}"
    );
    let account = shop.account().await;
    assert!(matches!(
        choose(&account, &Random::seeded(1)).await,
        Found::Nothing
    ));
    let searches = shop.searches();
    assert!(matches!(
        choose(&account, &Random::seeded(1)).await,
        Found::Nothing
    ));
    assert_eq!(shop.searches(), searches, "it is not asked all the time");
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_though_it_was_tried_is_not_given_out_again_and_not_asked_for_in_a_storm() {
    let shop = Shop::with(3, 30);
    let account = shop.account().await;
    let random = Random::seeded(1);
    let mut tried = HashSet::new();
    for _ in 0..3 {
        let mut candidate = candidate(choose(&account, &random).await);
        let number = candidate.offer.number;
        candidate.reservation.tried(&number, account.clock.now());
        assert!(tried.insert(number), "{number:?} was refused");
    }
    // A hundred want one for a minute.
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        let all = (0..100).map(|_| choose(&account, &random));
        for found in futures::future::join_all(all).await {
            assert!(matches!(found, Found::AllTaken));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(shop.searches() <= 15, "{}", shop.searches());
    lock(&shop.state).stock.insert(number(9000));
    let mut found = choose(&account, &random).await;
    while matches!(found, Found::AllTaken) {
        assert!(begun.elapsed() < Duration::from_secs(75));
        tokio::time::sleep(Duration::from_secs(1)).await;
        found = choose(&account, &random).await;
    }
    assert_eq!(candidate(found).offer.number.as_str(), number(9000));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_buy_keeps_nothing_from_others() {
    let shop = Shop::with(1, 30);
    let account = shop.account().await;
    let random = Random::seeded(1);
    for _ in 0..100 {
        let found = candidate(choose(&account, &random).await);
        assert!(matches!(choose(&account, &random).await, Found::AllTaken));
        drop(found);
    }
    assert!(lock(&account.shared.candidates.given).is_empty());
}

#[tokio::test(start_paused = true)]
async fn all_that_wait_for_a_search_that_fails_share_its_failure() {
    let shop = Shop::with(10, 30);
    lock(&shop.state).fails = true;
    let account = shop.account().await;
    let random = Random::seeded(1);
    let search = wanted();
    let all = (0..50).map(|_| account.choose(&search, &random, |_| true, |_| true));
    let all = futures::future::join_all(all).await;
    assert!(all.iter().all(Result::is_err));
    assert_eq!(shop.searches(), 1);
}

/// A slow answer is as old as its question when it comes, and still says what there is.
#[tokio::test(start_paused = true)]
async fn an_answer_that_took_its_time_is_an_answer() {
    for takes in [1, 2, 9] {
        for stock in [0, 3] {
            let shop = Shop::with(stock, 30);
            let account = shop.account().await;
            lock(&shop.state).takes = Duration::from_secs(takes);
            let random = Random::seeded(1);
            let all = (0..4).map(|_| choose(&account, &random));
            let patience = Duration::from_secs(100);
            let all = tokio::time::timeout(patience, futures::future::join_all(all)).await;
            let mut kept = Vec::new();
            for found in all.expect("each waits for its own search at most") {
                match found {
                    Found::Candidate(candidate) => kept.push(candidate),
                    Found::Nothing => assert_eq!(stock, 0, "{takes} s"),
                    Found::AllTaken => assert_eq!(stock, 3, "{takes} s"),
                    Found::TooDear(_) => panic!("nothing has a price"),
                }
            }
            assert_eq!(kept.len(), stock, "{takes} s");
            assert!(shop.searches() <= 4, "{takes} s: {}", shop.searches());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_wants_any_more_is_forgotten() {
    let shop = Shop::with(100, 30);
    let account = shop.account().await;
    let random = Random::seeded(1);
    for digits in 10..40 {
        let search = format!(r#"{{"country": "US", "contains": "{digits}"}}"#);
        let search: Search = serde_json::from_str(&search).unwrap();
        account
            .choose(&search, &random, |_| true, |_| true)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let kept = lock(&account.shared.candidates.shelves).len();
    assert!(kept <= 4, "{kept}");
}

#[test]
fn only_what_fits_in_every_point_is_given_out_and_only_once() {
    let offer = |number: &str, monthly: &str| Offer {
        number: number.parse().unwrap(),
        price: Price::read(monthly, "0", "USD"),
        description: Description::default(),
    };
    let search = r#"{"country": "US", "areaCode": "212", "contains": "5550"}"#;
    let search: Search = serde_json::from_str(search).unwrap();
    let misfits = [
        "+13125550102",
        "+12125551104",
        "+18005550100",
        "+442125550100",
    ];
    let misfits = misfits.map(|number| offer(number, "0.50"));
    let candidates = Candidates::default();
    let picked = |offers: &[Offer]| {
        let mut page = Page::default();
        page.show(
            Instant::since_boot(Duration::from_secs(1)),
            [&misfits, offers].concat(),
        );
        let is_cheap = |price: &Price| Amount::read("2").is_some_and(|two| price.monthly < two);
        match page.pick(
            &search,
            &candidates,
            &Random::seeded(1),
            &|_| true,
            &is_cheap,
        ) {
            Pick::Candidate(offer) => offer.number.to_string(),
            Pick::Taken => "taken".into(),
            Pick::TooDear(price) => price.monthly.to_string(),
            Pick::Nothing => "nothing".into(),
        }
    };
    let (cheap, dear) = (offer("+12125550100", "1.15"), offer("+12125550101", "2.50"));
    assert_eq!(picked(&[]), "nothing");
    assert_eq!(picked(&[dear.clone(), offer("+12125550102", "9")]), "2.5");
    let both = [dear, cheap];
    assert_eq!(picked(&both), "+12125550100");
    assert_eq!(picked(&both), "taken");
}
