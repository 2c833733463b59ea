//! How one exact number is searched for in Telnyx's inventory. Pure.

use crate::number::E164;

/// The filters that find `number` and little else: the country is required, and there are no wildcards. In the North
/// American plan the area code has its own filter, and the pattern is what follows it
/// (<https://developers.telnyx.com/docs/numbers/phone-numbers/number-search>); elsewhere the pattern is the whole
/// national number. `None` if the number belongs to no country.
pub(super) fn filters(number: &E164) -> Option<Vec<(&'static str, String)>> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(filters(&number.parse().unwrap()), wanted, "{number}");
        }
    }
}
