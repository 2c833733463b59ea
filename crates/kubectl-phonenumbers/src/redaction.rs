//! Texts without what may be secret in them. Pure.

use telephony::shown::without_user_info;

/// `text` with the URLs in it shortened to what names the place: without user, password, query and fragment.
pub(super) fn without_secrets(text: &str) -> String {
    let text = without_user_info(text);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`'))
            .unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        match url.find(['?', '#']) {
            Some(cut) => {
                shown.push_str(url.get(..cut).unwrap_or_default());
                shown.push_str("?…");
            }
            None => shown.push_str(url),
        }
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_loses_what_may_be_secret() {
        for (text, wanted) in [
            (
                "calls go to https://user:fake-secret@v.example.com/a?token=fake-secret, then on",
                "calls go to https://v.example.com/a?… then on",
            ),
            (
                "{\"url\":\"https://v.example.com/a#fake-secret\"}",
                "{\"url\":\"https://v.example.com/a?…\"}",
            ),
            ("https://v.example.com/a", "https://v.example.com/a"),
            ("no url: 1?2#3", "no url: 1?2#3"),
        ] {
            assert_eq!(without_secrets(text), wanted);
        }
    }
}
