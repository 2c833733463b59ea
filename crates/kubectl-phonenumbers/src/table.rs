//! Tables for people, as kubectl prints them, of texts that anybody may have written. Pure.

use jiff::Timestamp;
use telephony::number::{Holding, Settings, Shown};
use telephony::shown::is_hidden;
use url::Url;

use super::colour::{Colours, Tone};

/// What stands where there is nothing, as in kubectl.
pub(super) const NONE: &str = "<none>";

/// What stands where a price is not known, as in kubectl.
pub(super) const UNKNOWN: &str = "<unknown>";

/// Columns are parted by this much, as in kubectl.
const GAP: usize = 3;

/// No column but the last is narrower than this, its gap included, as in kubectl.
const NARROWEST: usize = 6;

/// The longest text in a column.
const WIDEST: usize = 64;

/// The column of a table whose cells have colours.
pub(super) struct Painted {
    pub(super) colours: Colours,
    /// Which column it is, from 0.
    pub(super) column: usize,
    /// How the thing is that a row is about.
    pub(super) tone: fn(&[String]) -> Option<Tone>,
}

/// Headings and rows, aligned; without the headings if `bare`.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>], bare: bool) -> String {
    let plain = Painted {
        colours: Colours::Off,
        column: 0,
        tone: |_| None,
    };
    painted_table(headings, rows, bare, &plain)
}

/// The same with colours in one column. Without the colours it is the same text.
pub(super) fn painted_table(
    headings: &[&str],
    rows: &[Vec<String>],
    bare: bool,
    painted: &Painted,
) -> String {
    let headings: Vec<String> = headings.iter().map(|text| (*text).to_owned()).collect();
    let head = (!bare).then_some((&headings, None)).into_iter();
    let body = rows.iter().map(|row| (row, (painted.tone)(row)));
    let lines: Vec<(&Vec<String>, Option<Tone>)> = head.chain(body).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|(line, _)| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    for (line, tone) in &lines {
        let mut padded = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let width = (width + GAP).max(NARROWEST);
            let gap = width.saturating_sub(cell.chars().count());
            match tone {
                Some(tone) if column == painted.column => {
                    padded.push_str(&painted.colours.paint(cell, *tone));
                }
                _ => padded.push_str(cell),
            }
            padded.push_str(&" ".repeat(gap));
        }
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

/// How long ago `since` was, as kubectl prints it: the one or two units that matter.
pub(super) fn age(since: Option<Timestamp>, now: Timestamp) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let Some(since) = since else {
        return "<unknown>".to_owned();
    };
    let seconds = now.duration_since(since).as_secs();
    let in_units = |large: (i64, &str), small: (i64, &str)| {
        let (whole, rest) = (seconds / large.0, seconds % large.0 / small.0);
        match rest {
            0 => format!("{whole}{}", large.1),
            _ => format!("{whole}{}{rest}{}", large.1, small.1),
        }
    };
    match seconds {
        // Two clocks may lie apart a little.
        ..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if seconds < 10 * MINUTE => in_units((MINUTE, "m"), (1, "s")),
        _ if seconds < 3 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 8 * HOUR => in_units((HOUR, "h"), (MINUTE, "m")),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ if seconds < 8 * DAY => in_units((DAY, "d"), (HOUR, "h")),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => in_units((YEAR, "y"), (DAY, "d")),
        _ => format!("{}y", seconds / YEAR),
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
pub(super) fn webhook(url: &str) -> String {
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
        let short = [vec!["1".to_owned(), "2".to_owned()]];
        assert_eq!(table(&["A", "B"], &short, false), "A     B\n1     2\n");
    }

    #[test]
    fn colours_move_no_column_and_are_gone_where_they_are_off() {
        let rows = [["a", "ok"], ["long name", "bad"], ["b", "-"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let in_colours = |colours, column| {
            let tone = |row: &[String]| match row[1].as_str() {
                "ok" => Some(Tone::Good),
                "bad" => Some(Tone::Bad),
                _ => None,
            };
            let painted = Painted {
                colours,
                column,
                tone,
            };
            painted_table(&["NAME", "STATE"], &rows, false, &painted)
        };
        let plain = table(&["NAME", "STATE"], &rows, false);
        assert_eq!(in_colours(Colours::Off, 1), plain);
        let coloured = in_colours(Colours::On, 1);
        assert!(
            coloured.contains("a           \u{1b}[32mok\u{1b}[0m\n"),
            "{coloured:?}"
        );
        for column in [0, 1] {
            let coloured = in_colours(Colours::On, column);
            assert_eq!(coloured.matches('\u{1b}').count(), 4);
            assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
        }
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

    /// The expectations are those of `duration.HumanDuration` in k8s.io/apimachinery, which kubectl prints.
    #[test]
    fn an_age_is_printed_as_kubectl_does() {
        let now: Timestamp = "2026-11-25T00:00:00Z".parse().unwrap();
        let (minute, hour, day) = (60, 3600, 86_400);
        for (seconds, wanted) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (45, "45s"),
            (119, "119s"),
            (120, "2m"),
            (190, "3m10s"),
            (10 * minute, "10m"),
            (179 * minute, "179m"),
            (3 * hour, "3h"),
            (5 * hour + 7 * minute, "5h7m"),
            (8 * hour + 7 * minute, "8h"),
            (47 * hour, "47h"),
            (51 * hour, "2d3h"),
            (48 * hour, "2d"),
            (8 * day + hour, "8d"),
            (40 * day, "40d"),
            (729 * day, "729d"),
            (730 * day, "2y"),
            (750 * day, "2y20d"),
            (3000 * day, "8y"),
        ] {
            let since = now - jiff::SignedDuration::from_secs(seconds);
            assert_eq!(age(Some(since), now), wanted, "{seconds} s");
        }
        assert_eq!(age(None, now), "<unknown>");
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
