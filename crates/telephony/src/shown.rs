//! What of a text from outside may be shown: in a status, an Event, a log or a terminal. Pure.

/// The longest text from outside that is part of a message, in characters.
pub const MOST: usize = 300;

/// The longest message, in characters.
pub const MOST_OF_MESSAGE: usize = 2000;

/// The longest code of an error. The codes of all providers are shorter.
const MOST_OF_CODE: usize = 16;

/// Texts are not read any further than this: what is shown is far shorter, even where most of it is taken out.
const MOST_READ: usize = 65_536;

/// `text` on one line of at most `most` characters, without characters that a reader does not see or that change what a
/// reader sees.
pub fn line(text: &str, most: usize) -> String {
    let shown: String = visible(text).take(most).collect();
    shown.trim().to_owned()
}

/// [`line`], without `secrets`: not even one that is spread over lines or interleaved with blanks.
pub fn line_without<'a>(
    text: &str,
    secrets: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> String {
    let mut shown: String = visible(text).take(MOST_READ).collect();
    for secret in secrets {
        shown = without(&shown, secret);
    }
    line(&shown, most)
}

/// An error code as it may be shown: at most 16 letters, digits, dots, hyphens and underscores. `None` for a text that is
/// anything else.
pub fn code(text: &str) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_code = !text.is_empty() && text.len() <= MOST_OF_CODE && text.bytes().all(is_plain);
    is_code.then_some(text)
}

/// The address in `text` as it may be shown: without a user name, a password, a query and a fragment.
pub fn address(text: &str) -> String {
    let text = without_user_info(text);
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (address, _) = text.split_at(end);
    line(address, MOST)
}

/// `text` without the user names and passwords of the URLs in it.
pub fn without_user_info(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after
            .find(|c: char| {
                c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>')
            })
            .unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        shown.push_str(host);
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

/// The characters of `text` that are seen, with a blank for each that only separates.
fn visible(text: &str) -> impl Iterator<Item = char> {
    let is_blank = |c: char| is_hidden(c) || c.is_whitespace();
    text.chars()
        .filter(|c| !is_invisible(*c))
        .map(move |c| if is_blank(c) { ' ' } else { c })
}

/// True for characters that show nothing, end a line, or change how others are shown.
pub fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || is_invisible(c)
}

/// Characters without a form of their own: zero-width ones, directions, fillers, variation selectors, tags, and those that
/// no text needs (private use).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

/// `text` with each appearance of `secret` replaced, blanks between its characters or not.
fn without(text: &str, secret: &str) -> String {
    let secret: Vec<char> = secret.chars().filter(|c| !c.is_whitespace()).collect();
    let Some(first) = secret.first() else {
        return text.to_owned();
    };
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(*first) {
        let (before, from) = rest.split_at(at);
        shown.push_str(before);
        rest = match after(from, &secret) {
            Some(after) => {
                shown.push_str("[redacted]");
                after
            }
            None => {
                shown.push(*first);
                from.strip_prefix(*first).unwrap_or_default()
            }
        };
    }
    shown.push_str(rest);
    shown
}

/// What follows `secret` in `text`, which begins with it, blanks between its characters or not.
fn after<'a>(text: &'a str, secret: &[char]) -> Option<&'a str> {
    let mut rest = text;
    for c in secret {
        rest = rest.trim_start_matches(' ').strip_prefix(*c)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_not_seen_is_shown() {
        let table = [
            ("plain, größer, 日本", "plain, größer, 日本"),
            ("\u{1b}[2Jgone\u{7}", "[2Jgone"),
            ("two\r\nlines\u{2028}three", "two  lines three"),
            ("abc\u{202e}fdp.exe\u{202c}", "abcfdp.exe"),
            ("\u{2066}a\u{2069}\u{200b}b\u{feff}c\u{ad}d", "abcd"),
            ("a\u{e0041}\u{fe0f}b\u{f8ff}", "ab"),
            (" \u{3000} ", ""),
        ];
        for (text, shown) in table {
            assert_eq!(line(text, MOST), shown, "{text:?}");
        }
        assert_eq!(line(&"ä".repeat(9), 4), "ä".repeat(4));
    }

    #[test]
    fn no_secret_is_shown_however_it_is_spread() {
        let key = "KEY0123456789";
        let spread = |by: &str| key.chars().map(|c| format!("{c}{by}")).collect::<String>();
        for text in [
            key.to_owned(),
            spread("\u{200b}"),
            spread(" "),
            spread("\n"),
            spread("\u{1b}"),
            spread("\u{202e}\t"),
            key.repeat(9000),
            format!("{}{key}", "x".repeat(MOST - 4)),
        ] {
            let shown = line_without(&text, [key, ""], MOST);
            let letters: String = shown.chars().filter(|c| *c != ' ').collect();
            assert!(!letters.contains("KEY0"), "{shown}");
            assert!(shown.chars().count() <= MOST);
        }
        assert_eq!(line_without("KKEY0 KEY", [key], MOST), "KKEY0 KEY");
        assert_eq!(
            line_without(&format!("no key {key}!"), [key], MOST),
            "no key [redacted]!"
        );
    }

    #[test]
    fn an_address_shows_nothing_but_the_address() {
        let table = [
            (
                "https://voice.example.com/twiml",
                "https://voice.example.com/twiml",
            ),
            (
                "https://user:fake@h.example/x?token=fake#y",
                "https://h.example/x",
            ),
            ("https://h.example\u{202e}/x#token", "https://h.example/x"),
        ];
        for (text, shown) in table {
            assert_eq!(address(text), shown);
        }
    }

    #[test]
    fn a_code_is_short_and_plain() {
        for good in ["20404", "10015", "rate-limit_1.2", &"9".repeat(16)] {
            assert_eq!(code(good), Some(good));
        }
        for bad in ["", "KEY 1", "\u{1b}[2J", "1\u{200b}2", "é", &"9".repeat(17)] {
            assert_eq!(code(bad), None, "{bad:?}");
        }
    }
}
