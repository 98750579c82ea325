//! What a typed line means: something to say, or a command.

/// The commands, what may follow them, and what they do.
pub(super) const COMMANDS: [(&str, &str, &str); 8] = [
    ("/help", "", "show this"),
    ("/who", "", "show who is online"),
    ("/more", "", "show older messages, as PageUp does"),
    ("/reply", "[^N] TEXT", "answer the newest message of others (^2: the one before)"),
    ("/edit", "[^N] TEXT", "change your newest message; alone it brings it back"),
    ("/delete", "[^N]", "take your newest message back, for everybody"),
    ("/react", "[^N] EMOJI", "react to the newest message of others; `-` ends it"),
    ("/quit", "", "leave, as Ctrl-D does"),
];

/// A typed line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TypedLine {
    /// Nothing but blanks.
    Nothing,
    /// Something to say.
    Text(String),
    /// `/help`
    Help,
    /// `/who`
    Who,
    /// `/more`
    More,
    /// `/quit`
    Quit,
    /// `/reply`: to which message, counted from the newest, and what.
    Reply(usize, String),
    /// `/edit`
    Edit(usize, String),
    /// `/delete`
    Delete(usize),
    /// `/react`; without a sign it is taken back.
    React(usize, Option<String>),
    /// No command, or not used rightly.
    Wrong(String),
}

impl TypedLine {
    /// Whether somebody else would read something of it.
    pub(super) const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Reply(..) | Self::Edit(..))
    }

    /// Understands a line. One that begins with `//` is a text that begins with `/`.
    pub(super) fn parse(line: &str) -> Self {
        if line.trim().is_empty() {
            return Self::Nothing;
        }
        // What was pasted often ends with a line break that nobody means to say.
        let line = line.trim_end_matches('\n');
        let Some(command) = line.strip_prefix('/') else { return Self::Text(line.to_owned()) };
        if command.starts_with('/') {
            return Self::Text(command.to_owned());
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let Some((which, rest)) = counted(rest.trim()) else {
            return Self::Wrong("^1 is the newest message, ^2 the one before it, and so on".to_owned());
        };
        match (name, rest) {
            ("help" | "?", "") => Self::Help,
            ("who", "") => Self::Who,
            ("more", "") => Self::More,
            ("quit" | "exit" | "q", "") => Self::Quit,
            ("delete", "") => Self::Delete(which),
            ("reply" | "edit" | "react", "") => Self::Wrong(format!("write /{name} {}", usage(name))),
            ("reply", text) => Self::Reply(which, text.to_owned()),
            ("edit", text) => Self::Edit(which, text.to_owned()),
            ("react", sign) => Self::React(which, (sign != "-").then(|| sign.to_owned())),
            _ => unknown(name, command),
        }
    }
}

/// Takes `^N` from the front; without one it is the newest.
fn counted(rest: &str) -> Option<(usize, &str)> {
    let Some(marked) = rest.strip_prefix('^') else { return Some((1, rest)) };
    let (number, rest) = marked.split_once(char::is_whitespace).unwrap_or((marked, ""));
    let number = number.parse().ok().filter(|number| *number > 0)?;
    Some((number, rest.trim()))
}

fn usage(name: &str) -> &'static str {
    COMMANDS.iter().find(|(known, ..)| known.trim_start_matches('/') == name).map_or("", |(_, usage, _)| usage)
}

fn unknown(name: &str, command: &str) -> TypedLine {
    let known = COMMANDS.iter().any(|(known, ..)| known.trim_start_matches('/') == name);
    TypedLine::Wrong(if known {
        format!("nothing follows /{name}")
    } else {
        format!("there is no /{name}: see /help, or write //{command} to send it as it is")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_unless_they_begin_with_a_slash() {
        assert_eq!(TypedLine::parse("hello\nthere\n"), TypedLine::Text("hello\nthere".to_owned()));
        assert_eq!(TypedLine::parse("//etc/passwd"), TypedLine::Text("/etc/passwd".to_owned()));
        assert_eq!(TypedLine::parse("  \n"), TypedLine::Nothing);
        assert_eq!(TypedLine::parse("/who "), TypedLine::Who);
        assert!(matches!(TypedLine::parse("/etc/passwd"), TypedLine::Wrong(why) if why.contains("//etc/passwd")));
        assert!(matches!(TypedLine::parse("/who bob"), TypedLine::Wrong(_)));
    }

    #[test]
    fn commands_count_from_the_newest_message() {
        assert_eq!(TypedLine::parse("/reply yes"), TypedLine::Reply(1, "yes".to_owned()));
        assert_eq!(TypedLine::parse("/edit ^3  two  words "), TypedLine::Edit(3, "two  words".to_owned()));
        assert_eq!(TypedLine::parse("/delete ^2"), TypedLine::Delete(2));
        assert_eq!(TypedLine::parse("/react 👍"), TypedLine::React(1, Some("👍".to_owned())));
        assert_eq!(TypedLine::parse("/react ^2 -"), TypedLine::React(2, None));
        for wrong in ["/reply", "/edit ^2", "/react", "/delete ^0", "/delete ^x", "/reply ^-1 x"] {
            assert!(matches!(TypedLine::parse(wrong), TypedLine::Wrong(_)), "{wrong}");
        }
    }
}
