//! What a number is to be like, as a person says it, by the rules of `spec.search`: what is found can be declared.

use clap::Args;
use telephony::number::{Capability, Kind, Search};

/// The longest name of a place, in characters.
const LONGEST_PLACE: usize = 64;

/// What is wanted.
#[derive(Args, Clone, Debug)]
pub(super) struct Wishes {
    /// The country, as ISO 3166 alpha-2, such as US.
    #[arg(long, value_name = "COUNTRY", value_parser = country)]
    country: String,

    /// The kind of number: local, mobile or tollFree.
    #[arg(long = "type", value_name = "TYPE", default_value_t = Kind::Local, value_parser = kind)]
    kind: Kind,

    /// The area code, without a leading zero, such as 212.
    #[arg(long, value_name = "DIGITS", value_parser = area_code)]
    area_code: Option<String>,

    /// Digits that the number contains.
    #[arg(long, value_name = "DIGITS", value_parser = contained)]
    contains: Option<String>,

    /// The place, such as New York.
    #[arg(long, value_name = "PLACE", value_parser = place)]
    locality: Option<String>,

    /// The state or province, such as NY.
    #[arg(long, value_name = "REGION", value_parser = place)]
    region: Option<String>,

    /// What the number must be able to do, of voice, sms, mms and fax. '' asks for nothing.
    #[arg(long, value_name = "LIST", default_value = "voice,sms", value_parser = capabilities)]
    capabilities: Wanted,
}

/// Capabilities, each at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted(Vec<Capability>);

impl From<Wishes> for Search {
    fn from(wishes: Wishes) -> Self {
        Self {
            country: wishes.country,
            kind: wishes.kind,
            area_code: wishes.area_code,
            contains: wishes.contains,
            locality: wishes.locality,
            region: wishes.region,
            capabilities: wishes.capabilities.0,
        }
    }
}

/// `search` without each of its wishes in turn, behind the flag that says the wish. Country and type are always asked for.
pub(super) fn without_each(search: &Search) -> Vec<(String, Search)> {
    let mut found = Vec::new();
    let mut leave_out = |flag: &str, wish: Option<&str>, forget: fn(&mut Search)| {
        if let Some(wish) = wish {
            let mut without = search.clone();
            forget(&mut without);
            found.push((format!("--{flag} {wish}"), without));
        }
    };
    leave_out("area-code", search.area_code.as_deref(), |it| {
        it.area_code = None;
    });
    leave_out("contains", search.contains.as_deref(), |it| {
        it.contains = None;
    });
    leave_out("locality", search.locality.as_deref(), |it| {
        it.locality = None;
    });
    leave_out("region", search.region.as_deref(), |it| it.region = None);
    let words: Vec<&str> = search.capabilities.iter().map(word).collect();
    let words = (!words.is_empty()).then(|| words.join(","));
    leave_out("capabilities", words.as_deref(), |it| {
        it.capabilities.clear();
    });
    found
}

fn word(capability: &Capability) -> &'static str {
    match capability {
        Capability::Voice => "voice",
        Capability::Sms => "sms",
        Capability::Mms => "mms",
        Capability::Fax => "fax",
    }
}

/// The country that `text` is; the error says what it may be.
pub(super) fn country(text: &str) -> Result<String, String> {
    let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code {
        Ok(text.to_owned())
    } else {
        Err("a country is two capital letters, such as US".to_owned())
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    let kinds = [Kind::Local, Kind::Mobile, Kind::TollFree];
    let found = kinds.into_iter().find(|kind| kind.to_string() == text);
    found.ok_or_else(|| "the types are local, mobile and tollFree".to_owned())
}

fn digits(text: &str, least: usize, most: usize) -> Result<String, String> {
    let are_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if are_digits && (least..=most).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(format!("it is {least} to {most} digits"))
    }
}

fn area_code(text: &str) -> Result<String, String> {
    digits(text, 1, 6)
}

fn contained(text: &str) -> Result<String, String> {
    digits(text, 2, 10)
}

fn place(text: &str) -> Result<String, String> {
    let is_place = (1..=LONGEST_PLACE).contains(&text.chars().count());
    if is_place && !text.contains(['\r', '\n']) {
        Ok(text.to_owned())
    } else {
        Err(format!("it is one line of 1 to {LONGEST_PLACE} characters"))
    }
}

fn capabilities(text: &str) -> Result<Wanted, String> {
    let mut wanted = Vec::new();
    for word in text.split(',').filter(|_| !text.is_empty()) {
        let known = [
            Capability::Voice,
            Capability::Sms,
            Capability::Mms,
            Capability::Fax,
        ];
        let found = known.into_iter().find(|it| self::word(it) == word);
        let capability =
            found.ok_or_else(|| "the capabilities are voice, sms, mms and fax".to_owned())?;
        if wanted.contains(&capability) {
            return Err(format!("{word} is there twice"));
        }
        wanted.push(capability);
    }
    Ok(Wanted(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use kube::CustomResourceExt;
    use phonenumber_api::PhoneNumber;
    use serde_json::{Value, json};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        wishes: Wishes,
    }

    fn read(arguments: &[&str]) -> Result<Search, String> {
        let line = Line::try_parse_from([&["search"], arguments].concat());
        line.map(|line| line.wishes.into())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_wish_is_a_field_of_the_search_and_what_is_not_said_is_as_in_a_manifest() {
        let whole = read(&[
            "--country=GB",
            "--type=tollFree",
            "--area-code=800",
            "--contains=55",
            "--locality=New York",
            "--region=NY",
            "--capabilities=mms,fax",
        ]);
        let wanted = json!({"country": "GB", "type": "tollFree", "areaCode": "800", "contains": "55",
            "locality": "New York", "region": "NY", "capabilities": ["mms", "fax"]});
        assert_eq!(json!(whole.unwrap()), wanted);
        let least: Search = serde_json::from_value(json!({"country": "US"})).unwrap();
        assert_eq!(read(&["--country=US"]), Ok(least));
        let nothing = read(&["--country=US", "--capabilities="]).unwrap();
        assert_eq!(nothing.capabilities, []);
    }

    #[test]
    fn each_wish_is_left_out_alone_and_country_and_type_never() {
        let search = read(&[
            "--country=US",
            "--type=mobile",
            "--area-code=212",
            "--contains=55",
            "--locality=New York",
            "--region=NY",
        ])
        .unwrap();
        let without = without_each(&search);
        let flags: Vec<_> = without.iter().map(|(flag, _)| flag.as_str()).collect();
        let wanted = [
            "--area-code 212",
            "--contains 55",
            "--locality New York",
            "--region NY",
            "--capabilities voice,sms",
        ];
        assert_eq!(flags, wanted);
        let fields = ["areaCode", "contains", "locality", "region", "capabilities"];
        for ((_, without), field) in without.iter().zip(fields) {
            let mut wanted = json!(search);
            match field {
                "capabilities" => wanted[field] = json!([]),
                _ => drop(wanted.as_object_mut().unwrap().remove(field)),
            }
            assert_eq!(json!(without), wanted);
        }
        let least = read(&["--country=US", "--capabilities="]).unwrap();
        assert_eq!(without_each(&least), []);
    }

    #[test]
    fn what_a_manifest_may_not_say_is_refused() {
        let long = "x".repeat(65);
        for (flag, good, bad) in [
            (
                "--country",
                &["US", "NO"][..],
                &["us", "USA", "U", "", "Ü"][..],
            ),
            ("--type", &["local", "mobile"], &["Local", "toll-free", ""]),
            (
                "--area-code",
                &["2", "123456"],
                &["", "1234567", "2a", "+1", "１"],
            ),
            (
                "--contains",
                &["12", "1234567890"],
                &["1", "12345678901", "**"],
            ),
            (
                "--locality",
                &["São Paulo", &long[1..]],
                &["", &long, "a\nb", "a\r"],
            ),
            ("--region", &["NY"], &["", &long]),
            (
                "--capabilities",
                &["voice", "fax,mms"],
                &["Voice", "voice,", "sms,sms", "voice sms"],
            ),
        ] {
            let ask = |value: &str| {
                let country = if flag == "--country" {
                    ""
                } else {
                    "--country=US"
                };
                let flag = format!("{flag}={value}");
                let arguments = [country, &flag];
                read(if country.is_empty() {
                    &arguments[1..]
                } else {
                    &arguments
                })
            };
            for value in good {
                assert!(ask(value).is_ok(), "{flag} {value}: {:?}", ask(value));
            }
            for value in bad {
                assert!(ask(value).is_err(), "{flag} {value}");
            }
        }
    }

    /// Where the definition of PhoneNumber changes, the rules here have to.
    #[test]
    fn the_rules_are_those_of_the_definition() {
        let definition = serde_json::to_value(PhoneNumber::crd()).unwrap();
        let fields = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
            ["spec"]["properties"]["search"]["properties"];
        let rules = |field: &str| {
            let rules = &fields[field];
            (rules["pattern"].clone(), rules["maxLength"].clone())
        };
        let rule = |pattern: &str, most: usize| (json!(pattern), json!(most));
        assert_eq!(rules("country"), rule("^[A-Z]{2}$", 2));
        assert_eq!(rules("areaCode"), rule("^[0-9]{1,6}$", 6));
        assert_eq!(rules("contains"), rule("^[0-9]{2,10}$", 10));
        for field in ["locality", "region"] {
            assert_eq!(rules(field), rule(r"^[^\r\n]+$", LONGEST_PLACE));
        }
        let words = |value: &Value| {
            let mut words: Vec<_> = value.as_array().into_iter().flatten().cloned().collect();
            words.sort_by_key(ToString::to_string);
            words
        };
        assert_eq!(
            words(&fields["type"]["enum"]),
            ["local", "mobile", "tollFree"]
        );
        let capabilities = &fields["capabilities"];
        assert_eq!(
            words(&capabilities["items"]["enum"]),
            ["fax", "mms", "sms", "voice"]
        );
        assert_eq!(capabilities["x-kubernetes-list-type"], "set");
        assert_eq!(
            fields.as_object().unwrap().len(),
            7,
            "every wish has a flag"
        );
    }
}
