//! What is on sale where: countries, kinds, areas, what numbers can do, and what they cost. The dialects filter it and
//! show it in their own words.

use std::collections::HashSet;

use super::Side;
use super::carrier::World;

/// Kinds of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Local,
    Mobile,
    TollFree,
}

/// What a number can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abilities {
    pub(super) voice: bool,
    pub(super) sms: bool,
    pub(super) mms: bool,
    pub(super) fax: bool,
}

/// A number on sale.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) number: String,
    /// The number without the country's calling code.
    pub(super) national: String,
    pub(super) kind: Kind,
    pub(super) locality: &'static str,
    pub(super) region: &'static str,
    pub(super) abilities: Abilities,
}

/// A country that has numbers on sale.
struct Country {
    code: &'static str,
    name: &'static str,
    calling_code: &'static str,
    /// How long its numbers are without the calling code.
    length: usize,
}

const COUNTRIES: [Country; 6] = [
    country("US", "United States", "1", 10),
    country("CA", "Canada", "1", 10),
    country("PR", "Puerto Rico", "1", 10),
    country("GB", "United Kingdom", "44", 10),
    country("FR", "France", "33", 9),
    country("DE", "Germany", "49", 10),
];

const fn country(
    code: &'static str,
    name: &'static str,
    calling_code: &'static str,
    length: usize,
) -> Country {
    Country {
        code,
        name,
        calling_code,
        length,
    }
}

/// The beginning of national numbers, and where they belong.
type Area = (&'static str, &'static str, Kind, &'static str, &'static str);

const AREAS: [Area; 20] = [
    ("US", "212", Kind::Local, "New York", "NY"),
    ("US", "315", Kind::Local, "Syracuse", "NY"),
    ("US", "415", Kind::Local, "San Francisco", "CA"),
    ("US", "617", Kind::Local, "Boston", "MA"),
    ("US", "888", Kind::TollFree, "", ""),
    ("US", "800", Kind::TollFree, "", ""),
    ("CA", "416", Kind::Local, "Toronto", "ON"),
    ("CA", "604", Kind::Local, "Vancouver", "BC"),
    ("CA", "855", Kind::TollFree, "", ""),
    ("PR", "787", Kind::Local, "San Juan", "PR"),
    ("GB", "207", Kind::Local, "London", ""),
    ("GB", "161", Kind::Local, "Manchester", ""),
    ("GB", "77", Kind::Mobile, "", ""),
    ("GB", "800", Kind::TollFree, "", ""),
    ("FR", "14", Kind::Local, "Paris", ""),
    ("FR", "6", Kind::Mobile, "", ""),
    ("FR", "80", Kind::TollFree, "", ""),
    ("DE", "30", Kind::Local, "Berlin", ""),
    ("DE", "151", Kind::Mobile, "", ""),
    ("DE", "800", Kind::TollFree, "", ""),
];

/// What is asked for, as far as numbers are made by it.
pub(super) struct Wish<'a> {
    pub(super) country: &'a str,
    pub(super) kind: Option<Kind>,
    /// How the national number begins.
    pub(super) begin: &'a str,
    /// How it ends.
    pub(super) end: &'a str,
    pub(super) limit: usize,
}

fn by_code(code: &str) -> Option<&'static Country> {
    COUNTRIES.iter().find(|country| country.code == code)
}

/// The countries, by code and name.
pub(super) fn countries() -> impl Iterator<Item = (&'static str, &'static str)> {
    COUNTRIES.iter().map(|country| (country.code, country.name))
}

/// True if a country has numbers of this kind.
pub(super) fn has(country: &str, kind: Kind) -> bool {
    AREAS
        .iter()
        .any(|(code, _, offered, ..)| *code == country && *offered == kind)
}

/// The calling code of a country, without the plus sign.
pub(super) fn calling_code(country: &str) -> &'static str {
    by_code(country).map_or("", |country| country.calling_code)
}

/// The country of a number whose area is known.
fn known_country(number: &str) -> Option<&'static str> {
    let digits = number.trim_start_matches('+');
    let in_area = |country: &&Country| {
        let national = digits.strip_prefix(country.calling_code);
        national.is_some_and(|national| area(country.code, national).is_some())
    };
    COUNTRIES.iter().find(in_area).map(|country| country.code)
}

/// The country of a number. The calling code 1 is that of the United States unless the area is known to be another's.
pub(super) fn country_of(number: &str) -> &'static str {
    let digits = number.trim_start_matches('+');
    let of_code = COUNTRIES
        .iter()
        .find(|country| digits.starts_with(country.calling_code));
    known_country(number).unwrap_or(of_code.map_or("US", |country| country.code))
}

/// The area that a national number belongs to, if it is a known one.
fn area(country: &str, national: &str) -> Option<&'static Area> {
    AREAS
        .iter()
        .find(|(code, begin, ..)| *code == country && national.starts_with(begin))
}

/// What kind of number it is.
pub(super) fn kind_of(number: &str) -> Kind {
    let country = country_of(number);
    let digits = number.trim_start_matches('+');
    let national = digits
        .strip_prefix(calling_code(country))
        .unwrap_or_default();
    area(country, national).map_or(Kind::Local, |(_, _, kind, ..)| *kind)
}

/// What a number can do: much in North America, and elsewhere only mobile numbers take messages.
pub(super) fn abilities(number: &str) -> Abilities {
    let is_american = number.starts_with("+1");
    Abilities {
        voice: true,
        sms: is_american || kind_of(number) == Kind::Mobile,
        mms: is_american,
        fax: false,
    }
}

/// What a number of this kind costs each month at this company.
pub(super) fn monthly(provider: &str, kind: Kind) -> &'static str {
    match (provider, kind) {
        ("twilio", Kind::Local) => "1.15",
        ("twilio", Kind::Mobile) => "3.00",
        ("twilio", Kind::TollFree) => "2.15",
        (_, Kind::Local | Kind::TollFree) => "1.00000",
        (_, Kind::Mobile) => "2.00000",
    }
}

impl World {
    /// Numbers on sale that are as `wish` says and that `fit`.
    pub(super) fn offers(&self, wish: &Wish<'_>, fit: impl Fn(&Offer) -> bool) -> Vec<Offer> {
        let Some(country) = by_code(wish.country) else {
            return Vec::new();
        };
        let unavailable: HashSet<&str> = self
            .unavailable()
            .chain(self.gone.iter().map(String::as_str))
            .collect();
        let is_free = |number: &str| {
            let taken = self
                .state
                .taken
                .iter()
                .any(|end| number.ends_with(end.as_str()));
            !taken && !unavailable.contains(number)
        };
        let shown = self.state.switches.on_sale.unwrap_or(usize::MAX);
        let limit = wish.limit.min(shown);
        let skipped = match self.state.switches.search_rotates {
            true => limit * self.searches().saturating_sub(1),
            false => 0,
        };
        let beginnings = beginnings(wish);
        let numbers = beginnings
            .iter()
            .flat_map(|begin| nationals(begin, wish.end, country.length).take(100_000));
        let offers = numbers.map(|national| {
            let number = format!("+{}{national}", country.calling_code);
            let place = area(country.code, &national);
            Offer {
                kind: place.map_or(Kind::Local, |(_, _, kind, ..)| *kind),
                locality: place.map_or("", |(_, _, _, locality, _)| *locality),
                region: place.map_or("", |(.., region)| *region),
                abilities: abilities(&number),
                number,
                national,
            }
        });
        let offers = offers
            .filter(|offer| wish.kind.is_none_or(|kind| offer.kind == kind))
            .filter(|offer| known_country(&offer.number).is_none_or(|known| known == country.code))
            .filter(|offer| is_free(&offer.number) && fit(offer));
        let mut first: Vec<Offer> = Vec::new();
        let mut after = Vec::new();
        for (at, offer) in offers.take(skipped + limit).enumerate() {
            if at < limit {
                first.push(offer);
            } else if at >= skipped {
                after.push(offer);
            }
        }
        // Where too little is left behind it, it begins again.
        if after.is_empty() { first } else { after }
    }

    /// How many searches there were.
    fn searches(&self) -> usize {
        let sides = [Side::Twilio, Side::Telnyx].map(|side| format!("{} search", side.name()));
        let counts = sides
            .iter()
            .filter_map(|side| self.ledger.requests.get(side));
        usize::try_from(counts.sum::<u64>()).unwrap_or(usize::MAX)
    }
}

/// How the numbers of a wish begin: in the known areas that fit, else as it says.
fn beginnings(wish: &Wish<'_>) -> Vec<String> {
    // A whole national number leaves nothing to choose.
    if wish.begin.is_empty() && wish.end.len() >= 8 {
        return vec![String::new()];
    }
    let known = AREAS.iter().filter(|(code, begin, kind, ..)| {
        *code == wish.country
            && begin.starts_with(wish.begin)
            && wish.kind.is_none_or(|wanted| wanted == *kind)
    });
    let known: Vec<_> = known.map(|(_, begin, ..)| (*begin).to_owned()).collect();
    if known.is_empty() {
        vec![wish.begin.to_owned()]
    } else {
        known
    }
}

/// National numbers of this length that begin and end so.
fn nationals(begin: &str, end: &str, length: usize) -> impl Iterator<Item = String> {
    let whole = begin.is_empty();
    let free = if whole && end.len() >= 8 {
        0
    } else {
        length.saturating_sub(begin.len() + end.len())
    };
    let choices = 10_u64
        .checked_pow(u32::try_from(free).unwrap_or(u32::MAX))
        .unwrap_or(u64::MAX);
    // Subscriber numbers begin above 200 0000, where there is room for that.
    let first = if free >= 7 { 2_000_000 } else { 0 };
    (first..choices).map(move |at| {
        if free == 0 {
            format!("{begin}{end}")
        } else {
            format!("{begin}{at:0free$}{end}")
        }
    })
}
