//! How numbers are searched for in Telnyx's inventory. Pure.

use crate::number::{Capability, E164, Kind, Search};

/// The filters that find `number` and little else: the country is required, and there are no wildcards. In the North
/// American plan the area code has its own filter, and the pattern is what follows it
/// (<https://developers.telnyx.com/docs/numbers/phone-numbers/number-search>); elsewhere the pattern is the whole
/// national number. `None` if the number belongs to no country.
pub(super) fn of_number(number: &E164) -> Option<Vec<(&'static str, String)>> {
    let place = number.place()?;
    let national = place.national.as_str();
    let is_north_american = number.digits().starts_with('1');
    let mut filters = vec![("filter[country_code]", place.country.clone())];
    match national.split_at_checked(3) {
        Some((area, rest)) if is_north_american && national.len() == 10 => {
            filters.push(("filter[national_destination_code]", area.to_owned()));
            filters.push(("filter[phone_number][ends_with]", rest.to_owned()));
        }
        _ => filters.push(("filter[phone_number][ends_with]", national.to_owned())),
    }
    Some(filters)
}

/// The filters that find what `search` wants. Where an area is asked for, the digits are looked for behind it.
pub(super) fn of(search: &Search) -> Vec<(&'static str, String)> {
    let kind = match search.kind {
        Kind::Local => "local",
        Kind::Mobile => "mobile",
        Kind::TollFree => "toll_free",
    };
    let features: Vec<_> = search
        .capabilities
        .iter()
        .map(|capability| match capability {
            Capability::Voice => "voice",
            Capability::Sms => "sms",
            Capability::Mms => "mms",
            Capability::Fax => "fax",
        })
        .collect();
    let mut filters = vec![
        ("filter[country_code]", search.country.clone()),
        ("filter[phone_number_type]", kind.to_owned()),
    ];
    if !features.is_empty() {
        filters.push(("filter[features]", features.join(",")));
    }
    let wanted = [
        ("filter[national_destination_code]", &search.area_code),
        ("filter[phone_number][contains]", &search.contains),
        ("filter[locality]", &search.locality),
        ("filter[administrative_area]", &search.region),
    ];
    let wanted = wanted
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)));
    filters.extend(wanted);
    filters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wish_has_its_filter() {
        let search = Search {
            country: "US".into(),
            kind: Kind::TollFree,
            area_code: Some("888".into()),
            contains: Some("55".into()),
            locality: Some("New York".into()),
            region: Some("NY".into()),
            capabilities: vec![Capability::Voice, Capability::Mms],
        };
        let filters = of(&search);
        let shown: Vec<_> = filters
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let wanted = [
            "filter[country_code]=US",
            "filter[phone_number_type]=toll_free",
            "filter[features]=voice,mms",
            "filter[national_destination_code]=888",
            "filter[phone_number][contains]=55",
            "filter[locality]=New York",
            "filter[administrative_area]=NY",
        ];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn a_number_is_searched_for_by_its_country_and_its_last_digits() {
        let table = [
            ("+12125551234", Some(("US", "212", "5551234"))),
            ("+14165550123", Some(("CA", "416", "5550123"))),
            ("+17875550123", Some(("PR", "787", "5550123"))),
            ("+18005550123", Some(("US", "800", "5550123"))),
            ("+493512345678", Some(("DE", "", "3512345678"))),
            ("+447700900123", Some(("GB", "", "7700900123"))),
            ("+390612345678", Some(("IT", "", "0612345678"))),
            ("+80012345678", None),
            ("+9999999999", None),
        ];
        for (number, wanted) in table {
            let wanted = wanted.map(|(country, area, pattern)| {
                let mut filters = vec![("filter[country_code]", country.to_owned())];
                if !area.is_empty() {
                    filters.push(("filter[national_destination_code]", area.to_owned()));
                }
                filters.push(("filter[phone_number][ends_with]", pattern.to_owned()));
                filters
            });
            assert_eq!(of_number(&number.parse().unwrap()), wanted, "{number}");
        }
    }
}
