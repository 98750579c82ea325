//! What comes from the keyboard, on its way from the line to the conversation.

/// What the keyboard says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A finished line.
    Line(String),
    /// Older messages are wanted.
    Older,
    /// What was to be completed could become any of these.
    Choices(Vec<String>),
    /// The screen was cleared.
    Cleared,
    /// A text was to be sent while none may leave; it is still on the line.
    Held,
    /// What was pasted has so many bytes, and is not on the line: there is no room for it.
    TooLong(usize),
    /// The line is full.
    Full,
    /// No more comes: the person left, or the terminal did.
    End(Option<String>),
}
