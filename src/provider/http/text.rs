//! What of a provider's words may be shown: short, printable, without secrets. Pure.

use secrecy::{ExposeSecret, SecretString};

/// The longest text of a provider that goes into a status, an event or a log, in characters.
const MAX_CHARS: usize = 300;

/// `text` without `secrets`, without user names and passwords in URLs, without control characters, and cut.
pub(super) fn presentable(text: &str, secrets: &[SecretString]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().map(ExposeSecret::expose_secret) {
        if !secret.is_empty() {
            text = text.replace(secret, "[redacted]");
        }
    }
    without_user_info(&text)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_CHARS)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn without_user_info(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_show() {
        let secrets = [SecretString::from("fake-key"), SecretString::from("")];
        let table = [
            ("no such key: fake-key!", "no such key: [redacted]!"),
            ("fake-keyfake-key", "[redacted][redacted]"),
            ("bad url https://u:p@h/x?a", "bad url https://h/x?a"),
            ("https://u:p@h https://h2", "https://h https://h2"),
            ("a@b ://", "a@b ://"),
            ("line\none\u{0}", "line one"),
            ("", ""),
        ];
        for (text, shown) in table {
            assert_eq!(presentable(text, &secrets), shown, "{text}");
        }
    }

    #[test]
    fn a_secret_is_taken_out_before_the_text_is_cut() {
        let text = format!("{}fake-key", "ä".repeat(MAX_CHARS - 4));
        let shown = presentable(&text, &[SecretString::from("fake-key")]);
        assert_eq!(shown.chars().count(), MAX_CHARS);
        assert!(!shown.contains("fake"));
    }
}
