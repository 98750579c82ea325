//! Whether and how the output is coloured: sparingly, and never where nobody looks.

use anstyle::{AnsiColor, Style};

use crate::cli::Colour;

/// What a piece of text is, and so how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Of less importance: times, states, headings.
    Faint,
    /// Somebody's name.
    Name,
    /// The own name.
    Own,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Not as it should be.
    Bad,
}

impl Look {
    const fn style(self) -> Style {
        match self {
            Self::Faint => Style::new().dimmed(),
            Self::Name => AnsiColor::Cyan.on_default().bold(),
            Self::Own => Style::new().bold(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// Colours texts, or leaves them alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    /// What was asked for; on its own a terminal is coloured unless `NO_COLOR`, `CLICOLOR` or `TERM` speak against it.
    pub(crate) fn new(wanted: Colour, terminal: bool) -> Self {
        Self(match wanted {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => !anstyle_query::no_color() && (anstyle_query::clicolor_force() || terminal && wants_it()),
        })
    }

    /// Leaves everything alone.
    #[cfg(test)]
    pub(crate) const fn off() -> Self {
        Self(false)
    }

    /// The text in its look.
    pub(crate) fn paint(self, look: Look, text: &str) -> String {
        if self.0 && !text.is_empty() {
            let style = look.style();
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

fn wants_it() -> bool {
    anstyle_query::clicolor().unwrap_or(true) && anstyle_query::term_supports_color()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_there_or_leaves_the_text_alone() {
        assert_eq!(Paint::new(Colour::Never, true).paint(Look::Bad, "x"), "x");
        assert_eq!(Paint::new(Colour::Always, false).paint(Look::Good, "x"), "\u{1b}[32mx\u{1b}[0m");
        assert_eq!(Paint::new(Colour::Always, false).paint(Look::Good, ""), "");
    }
}
