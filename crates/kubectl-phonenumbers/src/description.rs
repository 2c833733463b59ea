//! A text about one object in the form of `kubectl describe`: names and values in two columns, sections, and tables. Pure.

/// Names and values are parted by this much, as in kubectl.
const GAP: usize = 2;

/// What a section is indented by, as in kubectl.
const INDENT: usize = 2;

/// The lines of a description.
#[derive(Debug, Default)]
pub(super) struct Description {
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    Field {
        indent: usize,
        name: &'static str,
        value: String,
    },
    Plain(String),
}

impl Description {
    /// A name and its value, on the left.
    pub(super) fn field(&mut self, name: &'static str, value: impl Into<String>) {
        self.line(0, name, value.into());
    }

    /// A section of names and values. Without any it says so in one word.
    pub(super) fn section(&mut self, title: &'static str, fields: Vec<(&'static str, String)>) {
        if fields.is_empty() {
            self.field(title, super::table::NONE);
            return;
        }
        self.lines.push(Line::Plain(format!("{title}:")));
        for (name, value) in fields {
            self.line(INDENT, name, value);
        }
    }

    /// A section that is a table, or lines of text.
    pub(super) fn block(&mut self, title: &'static str, text: &str) {
        if text.is_empty() {
            self.field(title, super::table::NONE);
            return;
        }
        self.lines.push(Line::Plain(format!("{title}:")));
        for line in text.lines() {
            let indented = format!("{:INDENT$}{line}", "");
            self.lines.push(Line::Plain(indented.trim_end().to_owned()));
        }
    }

    fn line(&mut self, indent: usize, name: &'static str, value: String) {
        self.lines.push(Line::Field {
            indent,
            name,
            value,
        });
    }

    /// The whole text.
    pub(super) fn text(&self) -> String {
        let widths = self.lines.iter().map(|line| match line {
            Line::Field { indent, name, .. } => indent + name.chars().count() + 1,
            Line::Plain(_) => 0,
        });
        let width = widths.max().unwrap_or(0) + GAP;
        let mut text = String::new();
        for line in &self.lines {
            match line {
                Line::Plain(line) => text.push_str(line),
                Line::Field {
                    indent,
                    name,
                    value,
                } => {
                    let name = format!("{:indent$}{name}:", "");
                    text.push_str(format!("{name:<width$}{value}").trim_end());
                }
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_stand_in_two_columns() {
        let mut description = Description::default();
        description.field("Name", "nyc");
        description.section("Held", vec![("Provider ID", "PN1".to_owned())]);
        description.section("Claim", Vec::new());
        description.block("Events", "TYPE   REASON\nNormal Bought\n");
        description.block("Differs", "");
        let wanted = "Name:           nyc\n\
                      Held:\n  \
                        Provider ID:  PN1\n\
                      Claim:          <none>\n\
                      Events:\n  \
                        TYPE   REASON\n  \
                        Normal Bought\n\
                      Differs:        <none>\n";
        assert_eq!(description.text(), wanted);
    }
}
