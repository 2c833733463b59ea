//! The tables of docs/explanation/crash-safety.md that tests write.

use std::fs;

use test_support::root;

/// Compares a table of the page with what was found; with `GENERATE=1` writes it.
pub fn compare(table: &str, found: &str) {
    let path = root().join("docs/explanation/crash-safety.md");
    let page = fs::read_to_string(&path).unwrap();
    let (begin, end) = (
        format!("<!-- {table} -->\n"),
        format!("<!-- end of {table} -->"),
    );
    let (before, rest) = page.split_once(&begin).unwrap();
    let (written, after) = rest.split_once(&end).unwrap();
    if std::env::var_os("GENERATE").is_some() {
        fs::write(path, [before, &begin, found, &end, after].concat()).unwrap();
    } else {
        assert_eq!(
            written, found,
            "`make generate` rewrites docs/explanation/crash-safety.md"
        );
    }
}
