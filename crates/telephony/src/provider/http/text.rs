//! What of a provider's words may be shown: short, printable, without secrets. Pure.

use secrecy::{ExposeSecret, SecretString};

use crate::shown::{self, MOST};

/// `text` as [`shown::line_without`] shows it, without user names and passwords in URLs too.
pub(super) fn presentable(text: &str, secrets: &[SecretString]) -> String {
    let secrets = secrets.iter().map(ExposeSecret::expose_secret);
    // As long as it is: what is cut must not hide where a URL ends.
    let text = shown::line_without(text, secrets, usize::MAX);
    shown::line(&shown::without_user_info(&text), MOST)
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
        let text = format!("{}fake-key", "ä".repeat(MOST - 4));
        let shown = presentable(&text, &[SecretString::from("fake-key")]);
        assert_eq!(shown.chars().count(), MOST);
        assert!(!shown.contains("fake"));
    }
}
