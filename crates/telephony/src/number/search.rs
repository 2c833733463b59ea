//! What a number is to be like where the very number does not matter, and what kind of number a number is. Pure.

use std::fmt;

use phonenumber::Type;
use phonenumber::metadata::DATABASE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Capabilities, E164};

/// Kinds of numbers, as providers sell them.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A number of an area.
    #[default]
    Local,
    /// A number of a mobile network.
    Mobile,
    /// A number that costs its caller nothing.
    TollFree,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Mobile => "mobile",
            Self::TollFree => "tollFree",
        })
    }
}

/// What a number can do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Capability {
    /// Voice calls.
    Voice,
    /// SMS.
    Sms,
    /// MMS.
    Mms,
    /// Fax.
    Fax,
}

/// What a number is to be like. A number that does not fit in every point is never bought.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct Search {
    /// The country, as ISO 3166 alpha-2, such as US.
    #[schemars(length(max = 2), regex(pattern = r"^[A-Z]{2}$"))]
    pub country: String,
    /// The kind of number: local, mobile or tollFree.
    #[serde(default, rename = "type")]
    pub kind: Kind,
    /// The area code, without a leading zero, such as 212.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 6), regex(pattern = r"^[0-9]{1,6}$"))]
    pub area_code: Option<String>,
    /// Digits that the number contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), regex(pattern = r"^[0-9]{2,10}$"))]
    pub contains: Option<String>,
    /// The place, such as New York.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^[^\r\n]+$"))]
    pub locality: Option<String>,
    /// The state or province, such as NY.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^[^\r\n]+$"))]
    pub region: Option<String>,
    /// What the number must be able to do.
    #[serde(default = "voice_and_sms")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub capabilities: Vec<Capability>,
}

fn voice_and_sms() -> Vec<Capability> {
    vec![Capability::Voice, Capability::Sms]
}

impl Search {
    /// What is wanted, for people.
    pub fn title(&self) -> String {
        format!("a {} number in {}", self.kind, self.country)
    }

    /// True if `number` is as wanted as far as its digits tell: country, kind, area code, digits. Locality and region are
    /// the provider's to know. This is slow: a page of hits is not to be checked whole.
    pub fn fits(&self, number: &E164) -> bool {
        let Some(place) = number.place() else {
            return false;
        };
        let national = &place.national;
        place.country == self.country
            && place.kind.is_none_or(|kind| kind == self.kind)
            && self
                .area_code
                .as_ref()
                .is_none_or(|area| national.starts_with(area.as_str()))
            && self
                .contains
                .as_ref()
                .is_none_or(|digits| national.contains(digits.as_str()))
    }

    /// True if these are all the capabilities that are wanted, or more.
    pub fn is_met_by(&self, capabilities: &Capabilities) -> bool {
        let mut wanted = self.capabilities.iter();
        wanted.all(|wanted| capabilities.have(*wanted))
    }
}

/// Where a number belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The country, as ISO 3166 alpha-2.
    pub country: String,
    /// The kind; `None` if the number alone does not tell.
    pub kind: Option<Kind>,
    /// The number within its country.
    pub national: String,
}

impl E164 {
    /// Where the number belongs; `None` if it belongs to no country. Fixed-or-mobile numbers, as all of North America
    /// are, count as local.
    pub fn place(&self) -> Option<Place> {
        let parsed = phonenumber::parse(None, self.as_str()).ok()?;
        let code = parsed.code().value();
        let country = match parsed.country().id() {
            Some(id) => id.as_ref().to_owned(),
            None => (*DATABASE.region(&code)?.first()?).to_owned(),
        };
        let is_country =
            country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
        let kind = match parsed.number_type(&DATABASE) {
            Type::FixedLine | Type::FixedLineOrMobile => Some(Kind::Local),
            Type::Mobile => Some(Kind::Mobile),
            Type::TollFree => Some(Kind::TollFree),
            _ => None,
        };
        let national = self.digits().strip_prefix(code.to_string().as_str())?;
        is_country.then(|| Place {
            country,
            kind,
            national: national.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> E164 {
        text.parse().unwrap()
    }

    #[test]
    fn a_number_tells_its_country_and_its_kind() {
        for (text, country, kind, national) in [
            ("+12125551234", "US", Some(Kind::Local), "2125551234"),
            ("+14165550123", "CA", Some(Kind::Local), "4165550123"),
            ("+17875550123", "PR", Some(Kind::Local), "7875550123"),
            ("+18005550123", "US", Some(Kind::TollFree), "8005550123"),
            ("+442079460141", "GB", Some(Kind::Local), "2079460141"),
            ("+447400123456", "GB", Some(Kind::Mobile), "7400123456"),
            ("+4915112345678", "DE", Some(Kind::Mobile), "15112345678"),
            // The library does not know Italian numbers, which keep their leading zero.
            ("+390612345678", "IT", None, "0612345678"),
        ] {
            let place = number(text).place().unwrap();
            assert_eq!(
                (place.country.as_str(), place.kind, place.national.as_str()),
                (country, kind, national),
                "{text}"
            );
        }
        for text in ["+80012345678", "+9999999999"] {
            assert_eq!(number(text).place(), None, "{text}");
        }
    }

    #[test]
    fn a_number_fits_in_every_point_or_not_at_all() {
        let search = Search {
            country: "US".into(),
            kind: Kind::Local,
            area_code: Some("212".into()),
            contains: Some("555".into()),
            locality: None,
            region: None,
            capabilities: vec![Capability::Voice, Capability::Sms],
        };
        let able = Capabilities {
            voice: true,
            sms: true,
            mms: false,
            fax: false,
        };
        assert!(search.fits(&number("+12125551234")) && search.is_met_by(&able));
        for text in [
            "+13125551234",
            "+12124441234",
            "+18005551234",
            "+442079555141",
        ] {
            assert!(!search.fits(&number(text)), "{text}");
        }
        assert!(!search.is_met_by(&Capabilities { sms: false, ..able }));
    }
}
