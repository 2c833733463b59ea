//! Tables for people, as kubectl prints them, of texts that anybody may have written. Pure.

use jiff::Timestamp;
use telephony::number::{Holding, Settings, Shown};
use telephony::shown::is_hidden;
use url::Url;

/// What stands where there is nothing, as in kubectl.
pub(super) const NONE: &str = "<none>";

/// Columns are parted by this much, as in kubectl.
const GAP: usize = 3;

/// The longest text in a column.
const WIDEST: usize = 64;

/// Headings and rows, aligned; without the headings if `bare`.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>], bare: bool) -> String {
    let headings: Vec<String> = headings.iter().map(|text| (*text).to_owned()).collect();
    let lines: Vec<&Vec<String>> = (!bare)
        .then_some(&headings)
        .into_iter()
        .chain(rows)
        .collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths);
        let padded: String = cells
            .map(|(cell, width)| format!("{cell:<width$}", width = width + GAP))
            .collect();
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}

/// `text` in one line that commands no terminal, cut where it is too long for a column.
pub(super) fn shown(text: &str) -> String {
    let mut plain: String = text
        .chars()
        .map(|c| if is_hidden(c) { '?' } else { c })
        .collect();
    if plain.trim().is_empty() {
        return NONE.to_owned();
    }
    if let Some((end, _)) = plain.char_indices().nth(WIDEST) {
        plain.truncate(end);
        plain.push('…');
    }
    plain
}

/// How long ago `since` was, as kubectl tells it: the two or so digits that matter.
pub(super) fn age(since: Option<Timestamp>, now: Timestamp) -> String {
    let Some(since) = since else {
        return "<unknown>".to_owned();
    };
    let seconds = now.duration_since(since).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{minutes}m"),
        7_200..=172_799 => format!("{hours}h"),
        _ if days < 730 => format!("{days}d"),
        _ => format!("{}y", days / 365),
    }
}

/// What answers calls, and what answers messages.
pub(super) fn answered_by(holding: &Holding) -> [String; 2] {
    let named =
        |what: &str, id: &Option<String>| id.as_ref().map(|id| format!("{what}/{}", shown(id)));
    let none = || NONE.to_owned();
    match &holding.settings {
        Settings::Twilio(settings) => {
            let calls = named("trunk", &settings.trunk_sid)
                .or_else(|| named("application", &settings.voice_application_sid))
                .or_else(|| settings.voice_url.as_deref().map(webhook));
            let messages = named("application", &settings.sms_application_sid)
                .or_else(|| settings.sms_url.as_deref().map(webhook));
            [calls.unwrap_or_else(none), messages.unwrap_or_else(none)]
        }
        Settings::Telnyx(settings) => {
            let messages = match &settings.messaging_profile_id {
                Shown::Known(profile) => named("profile", profile),
                Shown::Unknown => None,
            };
            [
                named("connection", &settings.connection_id).unwrap_or_else(none),
                messages.unwrap_or_else(none),
            ]
        }
    }
}

/// A webhook without what may be secret in it: user, password, query and fragment.
fn webhook(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return "<not a URL>".to_owned();
    };
    let Some(host) = url.host_str() else {
        return format!("{}:…", url.scheme());
    };
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let query = if url.query().is_some() { "?…" } else { "" };
    shown(&format!(
        "{}://{host}{port}{}{query}",
        url.scheme(),
        url.path()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use telephony::number::{NumberId, TelnyxSettings, TwilioSettings};

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec![
                "+12125551234".to_owned(),
                "Büro".to_owned(),
                "1d".to_owned(),
            ],
            vec!["+1213".to_owned(), NONE.to_owned(), "12d".to_owned()],
        ];
        let text = table(&["NUMBER", "NAME", "AGE"], &rows, false);
        let wanted = "NUMBER         NAME     AGE\n\
                      +12125551234   Büro     1d\n\
                      +1213          <none>   12d\n";
        assert_eq!(text, wanted);
        let bare = table(&["NUMBER", "NAME", "AGE"], &rows, true);
        assert!(
            wanted.ends_with(&bare) && !bare.contains("NUMBER"),
            "{bare}"
        );
        assert_eq!(table(&["NUMBER"], &[], true), "");
    }

    #[test]
    fn a_text_commands_no_terminal_and_ends_no_line() {
        for (text, wanted) in [
            ("NYC Support", "NYC Support"),
            ("", NONE),
            ("   ", NONE),
            ("a\nb\tc\r\n", "a?b?c??"),
            ("\u{1b}[2Jgone\u{7}", "?[2Jgone?"),
            ("\u{202e}drawkcab", "?drawkcab"),
            ("a\u{85}b\u{9b}31m", "a?b?31m"),
            ("日本語", "日本語"),
        ] {
            assert_eq!(shown(text), wanted, "{text:?}");
        }
        let long = shown(&"ä".repeat(100));
        assert_eq!(long.chars().count(), WIDEST + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn an_age_is_told_as_kubectl_does() {
        let now: Timestamp = "2026-11-25T00:00:00Z".parse().unwrap();
        for (since, wanted) in [
            (Some("2026-11-24T23:59:30Z"), "30s"),
            (Some("2026-11-24T23:57:00Z"), "3m"),
            (Some("2026-11-24T21:00:00Z"), "3h"),
            (Some("2026-11-20T00:00:00Z"), "5d"),
            (Some("2020-11-25T00:00:00Z"), "6y"),
            (Some("2027-01-01T00:00:00Z"), "0s"),
            (None, "<unknown>"),
        ] {
            let since = since.map(|since| since.parse().unwrap());
            assert_eq!(age(since, now), wanted, "{since:?}");
        }
    }

    #[test]
    fn a_webhook_is_shown_without_what_may_be_secret() {
        for (url, wanted) in [
            (
                "https://voice.example.com/twiml",
                "https://voice.example.com/twiml",
            ),
            (
                "https://user:fake-secret@voice.example.com:8443/a?token=fake-secret#fake-secret",
                "https://voice.example.com:8443/a?…",
            ),
            (
                "https://voice.example.com/\n- evil",
                "https://voice.example.com/-%20evil",
            ),
            ("not a url", "<not a URL>"),
            ("data:fake-secret", "data:…"),
        ] {
            assert_eq!(webhook(url), wanted, "{url}");
        }
    }

    #[test]
    fn what_overrides_a_webhook_is_what_answers() {
        let holding = |settings| Holding {
            id: NumberId::new("PN1"),
            number: "+12125551234".parse().unwrap(),
            marked_text: String::new(),
            created: None,
            line: telephony::number::Line::Live,
            settings,
        };
        let twilio = TwilioSettings {
            voice_url: Some("https://v.example.com/a".into()),
            sms_url: Some("https://v.example.com/b".into()),
            ..TwilioSettings::default()
        };
        let overridden = TwilioSettings {
            trunk_sid: Some("TK1".into()),
            sms_application_sid: Some("AP1".into()),
            ..twilio.clone()
        };
        let telnyx = TelnyxSettings {
            connection_id: Some("129".into()),
            ..TelnyxSettings::default()
        };
        for (settings, wanted) in [
            (
                Settings::Twilio(twilio),
                ["https://v.example.com/a", "https://v.example.com/b"],
            ),
            (
                Settings::Twilio(overridden),
                ["trunk/TK1", "application/AP1"],
            ),
            (Settings::Twilio(TwilioSettings::default()), [NONE, NONE]),
            (Settings::Telnyx(telnyx), ["connection/129", NONE]),
        ] {
            assert_eq!(answered_by(&holding(settings)), wanted);
        }
    }
}
