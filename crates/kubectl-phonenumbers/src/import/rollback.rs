//! The page that says how to go back after an import: what each number had before it was taken over. Pure.

use std::fmt::Write;

use super::Found;
use crate::table::{UNKNOWN, shown};

/// What the page says where what a number had is not known.
const NOT_KNOWN: &str = "Where `<unknown>` stands, the number was read from the status of the account, which does not have it. Import with\n\
    `--live` to have it here, or note it, before you apply the manifests.\n\n";

/// The page on the numbers of the account called `title`, each with the name of its PhoneNumber.
pub(super) fn page(title: &str, rows: &[(&str, &Found)], is_kustomized: bool) -> String {
    let folder = if is_kustomized { "-k ." } else { "-f ." };
    let mut text = format!(
        "# The way back\n\n\
         These manifests take over {} numbers of {title}. `kubectl apply {folder}` buys and releases nothing. It changes the name,\n\
         the webhooks and the assignment of each number at the provider.\n\n\
         To go back:\n\n\
         1. Leave `deletionPolicy` unset, or set it to `Retain`: the numbers then stay in the account.\n   \
            `kubectl phonenumbers release-preview` must say `Retain` for each.\n\
         2. `kubectl delete {folder}`\n\
         3. Give each number at the provider what it had before. The operator's mark may go.\n\n\
         Where a URL ends in `?…`, its query is not shown, since it may hold a secret. Note it before you apply the manifests.\n\n",
        rows.len(),
    );
    if rows.iter().any(|(_, found)| found.before.is_none()) {
        text.push_str(NOT_KNOWN);
    }
    text.push_str(
        "| PhoneNumber | number | id | name | calls | messages |\n|---|---|---|---|---|---|\n",
    );
    for (name, found) in rows {
        let unknown = || [UNKNOWN; 3].map(str::to_owned);
        let [had, calls, messages] = found.before.clone().unwrap_or_else(unknown);
        let cells = [
            (*name).to_owned(),
            found.takeover.number.to_string(),
            shown(&found.id),
            had,
            calls,
            messages,
        ];
        let cells = cells.map(|text| cell(&text));
        // Writing to a text does not fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// `text` as a cell of a Markdown table, which starts no column and no markup.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for c in text.chars() {
        match c {
            '<' => cell.push_str("&lt;"),
            '>' => cell.push_str("&gt;"),
            '|' | '`' | '*' | '\\' => {
                cell.push('\\');
                cell.push(c);
            }
            c => cell.push(c),
        }
    }
    cell
}
