//! Colours of words that say how something is, for terminals alone. Pure: whether there are colours is for the program to know.

use anstyle::{AnsiColor, Style};

/// Whether an answer may have colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    /// Plain text, for whatever is no terminal.
    #[default]
    Off,
    /// ANSI escape sequences around words.
    On,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As wanted.
    Good,
    /// Under way, not known, or to be looked at.
    Doubtful,
    /// Not as wanted, or not to be undone.
    Bad,
}

impl Tone {
    fn style(self) -> Style {
        let colour = match self {
            Self::Good => AnsiColor::Green,
            Self::Doubtful => AnsiColor::Yellow,
            Self::Bad => AnsiColor::Red,
        };
        colour.on_default()
    }
}

impl Colours {
    /// `text` in the colour of `tone`.
    pub(super) fn paint(self, text: &str, tone: Tone) -> String {
        match self {
            Self::Off => text.to_owned(),
            Self::On => {
                let style = tone.style();
                format!("{style}{text}{style:#}")
            }
        }
    }
}
