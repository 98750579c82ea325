//! Taking the history out: into a file, or piece by piece.

use crate::rpc::define::{method, methods, object, word};
use crate::rpc::target::Target;

methods! {
    ExportMethods { MsgExport MsgExportPage }
}

word! {
    /// How an export is written.
    ExportFormat {
        /// One message object a line.
        Ndjson,
        /// For people: Markdown.
        Md,
    }
}
method! {
    /// Writes the history to a new file of the daemon's user, mode 0600.
    MsgExport("msg.export", Parallel, [Owner], maybe_to(to)) -> Exported {
        /// Only this chat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to: Option<Target>,
        /// Only messages stored at this time or later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub since_ms: Option<u64>,
        /// How.
        pub format: ExportFormat,
        /// An absolute path where nothing is yet.
        pub out: String,
    }
    errors [AlreadyExists]
    example {"format": "ndjson", "out": "/home/alice/history.ndjson"} => {
        "out": "/home/alice/history.ndjson", "messages": 2
    }
}
object! {
    /// Answers [`MsgExport`].
    Exported {
        /// Where.
        pub out: String,
        /// How many messages.
        pub messages: u64,
    }
}

method! {
    /// The history as [`MsgExport`] would write it, piece by piece, for callers that write it themselves.
    ///
    /// What is said meanwhile in a chat that was read already is not in it.
    MsgExportPage("msg.export.page", Parallel, [ReadHistory], maybe_to(to)) -> ExportPage {
        /// Only this chat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to: Option<Target>,
        /// Only messages stored at this time or later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub since_ms: Option<u64>,
        /// How.
        pub format: ExportFormat,
        /// `cursor` of the piece before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cursor: Option<String>,
    }
    errors []
    example {"format": "md", "to": "@bob"} => {
        "text": "# @bob\n\n**alice**, 2023-11-14T22:13:20Z:\n\n> hi\n\n", "messages": 1
    }
}
object! {
    /// Answers [`MsgExportPage`].
    ExportPage {
        /// The next piece: whole lines.
        pub text: String,
        /// How many messages are in it.
        pub messages: u64,
        /// Asks for the next piece; absent on the last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cursor: Option<String>,
    }
}
