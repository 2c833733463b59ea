//! The runbook's words on a reason: the section of docs/reference/reasons.md, as text for a terminal. Pure.

/// The page that each message and alert refers to.
const PAGE: &str = include_str!("../../../docs/reference/reasons.md");

/// The text of the section on `reason`, without its heading; `None` for a reason that this version does not know.
pub(super) fn section(reason: &str) -> Option<String> {
    let mut sections = PAGE.split("\n## ").skip(1);
    let found = sections.find_map(|section| {
        let (title, text) = section.split_once('\n')?;
        (title.trim() == reason).then_some(text)
    })?;
    Some(plain(found.trim()))
}

/// The fields of a spec that the text names, such as `spec.limits`, each once.
pub(super) fn fields(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for code in text.split('`').skip(1).step_by(2) {
        let path = code.split([':', ' ', '=']).next().unwrap_or_default();
        if path.starts_with("spec.") && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// Markdown without bold print and without the targets of links.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('[') {
        plain.push_str(before);
        match from.split_once("](") {
            Some((title, after)) if !title.contains([']', '\n']) => {
                plain.push_str(title);
                rest = after.split_once(')').map_or("", |(_, after)| after);
            }
            _ => {
                plain.push('[');
                rest = from;
            }
        }
    }
    plain.push_str(rest);
    plain.replace("**", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use phonenumber_api::Reason;

    #[test]
    fn every_reason_has_its_section() {
        for reason in Reason::ALL {
            let section = section(&reason.to_string());
            let section = section.unwrap_or_else(|| panic!("{reason} has no section"));
            for part in ["Paid meanwhile:", "To do:"] {
                assert!(section.contains(part), "{reason}: {section}");
            }
            assert!(
                !section.contains("**") && !section.contains("]("),
                "{section}"
            );
            assert!(!section.contains("## "), "{section}");
        }
        assert_eq!(section("NoSuchReason"), None);
    }

    #[test]
    fn the_fields_of_a_section_are_found() {
        let section = section("CostLimitExceeded").unwrap();
        assert_eq!(
            fields(&section),
            ["spec.maxMonthlyCost", "spec.maxUpfrontCost"]
        );
        assert_eq!(
            fields("`spec.a: x` and `spec.b`, `status.c`, `spec.a`"),
            ["spec.a", "spec.b"]
        );
    }

    #[test]
    fn links_lose_their_targets_and_brackets_stay() {
        assert_eq!(
            plain("see [the page](a/b.md#c), [x] **now**"),
            "see the page, [x] now"
        );
    }
}
