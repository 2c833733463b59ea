//! Phone numbers in the texts of objects, masked. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

/// How many digits of a masked number are kept, at its end.
const KEPT: usize = 2;

/// The fewest digits of an E.164 number, and the most.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Changes every text in `value`, keys included.
pub(super) fn each_text(value: &mut Value, change: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(fields) => {
            let taken = std::mem::take(fields);
            for (name, mut field) in taken {
                each_text(&mut field, change);
                fields.insert(change(&name), field);
            }
        }
        _ => {}
    }
}

/// Numbers that are masked wherever they appear, also without a plus sign or with separators between their digits.
#[derive(Debug, Default)]
pub(super) struct Mask {
    known: BTreeSet<String>,
}

impl Mask {
    /// Learns the E.164 numbers in `value`.
    pub(super) fn learn(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                for run in runs(text).filter(|run| run.starts_with('+')) {
                    self.known.insert(digits(run));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.learn(field)),
            _ => {}
        }
    }

    /// `text` with all but the last two digits of each number replaced.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        for run in runs(text) {
            let Some((before, after)) = rest.split_once(run) else {
                continue;
            };
            masked.push_str(before);
            masked.push_str(&self.masked(run));
            rest = after;
        }
        masked.push_str(rest);
        masked
    }

    /// `run` with the numbers in it masked: of the groups of digits that it consists of, as many as make a number together.
    fn masked(&self, run: &str) -> String {
        let mut masked = String::with_capacity(run.len());
        let mut rest = run;
        while !rest.is_empty() {
            let ends = ends_of_groups(rest);
            let number = ends.iter().rev().find_map(|end| {
                let (piece, after) = rest.split_at_checked(*end)?;
                self.is_number(piece).then_some((piece, after))
            });
            rest = match number {
                Some((piece, after)) => {
                    masked.push_str(&hidden(piece));
                    after
                }
                None => {
                    let end = next_group(rest);
                    let (piece, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                    masked.push_str(piece);
                    after
                }
            };
        }
        masked
    }

    fn is_number(&self, run: &str) -> bool {
        let digits = digits(run);
        if !DIGITS.contains(&digits.len()) {
            return false;
        }
        // A number may lack its country, with a zero in its place, or have the prefix of calls to other countries.
        let is_one_group = run.bytes().all(|byte| byte.is_ascii_digit());
        let national = digits.strip_prefix('0');
        let national = national.filter(|digits| DIGITS.contains(&digits.len()));
        let is_known = |known: &String| {
            known.ends_with(&digits)
                || national.is_some_and(|national| known.ends_with(national))
                || (is_one_group && digits.ends_with(known.as_str()))
        };
        run.starts_with('+') || self.known.iter().any(is_known)
    }
}

/// The parts of `text` that may be numbers: digits with what people put between them, from the first digit or what leads it to
/// the last.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '(' | ')' | ' ' | '-' | '.');
    let parts = text.split(move |c: char| !is_part(c));
    parts.flat_map(|part| {
        // A plus sign begins another number.
        let starts = part.match_indices('+').map(|(at, _)| at);
        let bounds: Vec<usize> = std::iter::once(0)
            .chain(starts)
            .chain([part.len()])
            .collect();
        let pieces: Vec<&str> = bounds
            .windows(2)
            .filter_map(|pair| match pair {
                [from, to] => part.get(*from..*to),
                _ => None,
            })
            .collect();
        pieces.into_iter().filter_map(|piece| {
            let piece = piece.trim_matches(|c: char| !c.is_ascii_digit() && c != '+');
            piece
                .contains(|c: char| c.is_ascii_digit())
                .then_some(piece)
        })
    })
}

/// Where the groups of digits in `run` end, as many as a number may have. `run` begins with a group, or with a plus sign.
fn ends_of_groups(run: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut was_digit = false;
    for (at, c) in run.char_indices().chain([(run.len(), ' ')]) {
        if was_digit && !c.is_ascii_digit() {
            ends.push(at);
        }
        was_digit = c.is_ascii_digit();
        if ends.len() >= *DIGITS.end() {
            break;
        }
    }
    ends
}

/// Where the group behind the first one in `run` begins; the end of `run` if there is none.
fn next_group(run: &str) -> usize {
    let first = ends_of_groups(run).into_iter().next().unwrap_or(run.len());
    let behind = run.get(first..).unwrap_or_default();
    let gap = behind.find(|c: char| c.is_ascii_digit() || c == '+');
    gap.map_or(run.len(), |gap| first.saturating_add(gap))
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn hidden(run: &str) -> String {
    let hide = digits(run).len().saturating_sub(KEPT);
    let mut seen = 0;
    run.chars()
        .map(|c| {
            seen += usize::from(c.is_ascii_digit());
            match c.is_ascii_digit() && seen <= hide {
                true => '*',
                false => c,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_masked_in_every_form_and_nothing_else() {
        let mut mask = Mask::default();
        mask.learn(&json!({"spec": {"phoneNumber": "+12125550123"}, "x": [1, null]}));
        for (text, wanted) in [
            ("+12125550123", "+*********23"),
            ("+4930123456", "+********56"),
            ("us-local-12125550123", "us-local-*********23"),
            ("(212) 555-0123", "(***) ***-**23"),
            ("212.555.0123!", "***.***.**23!"),
            ("10 12125550123 7", "10 *********23 7"),
            ("0012125550123", "***********23"),
            ("us-12125550123.18c3f", "us-*********23.18c3f"),
            ("2026-11-25 (212) 555-0123.", "2026-11-25 (***) ***-**23."),
            ("+12125550123 +12125550199", "+*********23 +*********99"),
            ("2026-11-25T00:00:00Z", "2026-11-25T00:00:00Z"),
            (
                "PN00000000000000000000000000000001",
                "PN00000000000000000000000000000001",
            ),
            ("13125550123", "13125550123"),
            (
                "connection 1290012900129001290",
                "connection 1290012900129001290",
            ),
            ("3 of 5", "3 of 5"),
        ] {
            assert_eq!(mask.apply(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_number_in_its_national_form_is_masked_with_its_leading_zero() {
        let mut mask = Mask::default();
        mask.learn(&json!(["+442079460141", "+4930123456", "+498912345"]));
        for (text, wanted) in [
            ("02079460141", "*********41"),
            ("020 7946 0141", "*** **** **41"),
            ("call (030) 123456.", "call (***) ****56."),
            ("030 123456", "*** ****56"),
            ("030 123457", "030 123457"),
            // Seven digits without the zero are a number, six are too few.
            ("08912345", "******45"),
            ("0912345", "0912345"),
            ("002079460141", "002079460141"),
        ] {
            assert_eq!(mask.apply(text), wanted, "{text}");
        }
    }

    #[test]
    fn every_text_of_an_object_is_changed_keys_included() {
        let mut value = json!({"a": ["b", {"c": 1, "d": "e"}]});
        each_text(&mut value, &|text| text.to_uppercase());
        assert_eq!(value, json!({"A": ["B", {"C": 1, "D": "E"}]}));
    }
}
