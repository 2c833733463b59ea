//! Which wish leaves nothing of what an account has on sale: the search is made once more without each of them.

use telephony::account::Account;
use telephony::number::{Offer, Provider, Search};

use crate::account::DeclaredAccount;
use crate::wishes::without_each;

/// A line for each wish of `search`: how many numbers `account`, which is `opened` at the provider, shows without it. At most one
/// request for each wish, one after the other; the first that fails is the last.
pub(super) async fn blame(
    account: &DeclaredAccount,
    opened: &Account,
    search: &Search,
) -> Vec<String> {
    let title = account.title();
    let mut lines = Vec::new();
    for (flag, without) in without_each(search) {
        match account.offers(opened, &without).await {
            Ok(sale) => {
                let count = count(&sale.offers, &without, account.provider());
                lines.push(format!("{title} without {flag}: {count}."));
            }
            Err(error) => {
                lines.push(format!("{title} without {flag}: not known: {error}."));
                return lines;
            }
        }
    }
    lines
}

/// How many of `offers` are as wanted, in words. A full answer is a part of what there is.
fn count(offers: &[Offer], search: &Search, provider: Provider) -> String {
    let fitting = offers.iter().filter(|offer| search.fits(&offer.number));
    match (fitting.count(), offers.len() >= full(provider)) {
        (0, false) => "nothing either".to_owned(),
        (0, true) => "nothing in a part of what there is".to_owned(),
        (1, false) => "1 number".to_owned(),
        (count, false) => format!("{count} numbers"),
        (count, true) => format!("{count} or more numbers"),
    }
}

/// How many numbers an answer shows at most: Twilio shows 30 whatever page size is asked for, Telnyx as many as are asked for.
fn full(provider: Provider) -> usize {
    match provider {
        Provider::Twilio => 30,
        Provider::Telnyx => 250,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use telephony::number::Description;

    #[test]
    fn a_full_answer_is_a_part_of_what_there_is() {
        let offers = |count: usize| -> Vec<Offer> {
            let offer = |at| Offer {
                number: format!("+1212555{at:04}").parse().unwrap(),
                price: None,
                description: Description::default(),
            };
            (0..count).map(offer).collect()
        };
        let search = |area: &str| -> Search {
            serde_json::from_value(json!({"country": "US", "areaCode": area})).unwrap()
        };
        let (fits, other) = (search("212"), search("415"));
        for (shown, search, provider, wanted) in [
            (0, &fits, Provider::Twilio, "nothing either"),
            (1, &fits, Provider::Twilio, "1 number"),
            (29, &fits, Provider::Twilio, "29 numbers"),
            (30, &fits, Provider::Twilio, "30 or more numbers"),
            (
                30,
                &other,
                Provider::Twilio,
                "nothing in a part of what there is",
            ),
            (30, &fits, Provider::Telnyx, "30 numbers"),
            (250, &fits, Provider::Telnyx, "250 or more numbers"),
        ] {
            assert_eq!(count(&offers(shown), search, provider), wanted);
        }
    }
}
