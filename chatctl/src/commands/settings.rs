//! The settings of the account.

use chat_protocol::rpc::types::{self, SettingsGet, SettingsSet};

use crate::cli::settings::Settings;
use crate::cli::values::of_messages_from;
use crate::error::Failure;
use crate::output::text::word;
use crate::session::Session;

/// `chatctl settings`
pub(super) async fn settings(settings: Settings, session: &mut Session) -> Result<(), Failure> {
    let wanted = SettingsSet {
        read_receipts: settings.read_receipts,
        presence: settings.presence,
        history_days: settings.history_days,
        event_days: settings.event_days,
        max_events: settings.max_events,
        trust_policy: settings.trust_policy,
        outbox_days: settings.outbox_days,
        history_mib: settings.history_mib,
        max_event_mib: settings.max_event_mib,
        messages_from: settings.messages_from,
    };
    if wanted == SettingsSet::default() {
        session.simple(&SettingsGet {}, shown).await
    } else {
        session.simple(&wanted, shown).await
    }
}

fn shown(settings: &types::Settings) -> Vec<String> {
    vec![
        format!("--read-receipts {}", settings.read_receipts),
        format!("--presence {}", settings.presence),
        format!("--history-days {}", settings.history_days),
        format!("--event-days {}", settings.event_days),
        format!("--max-events {}", settings.max_events),
        format!("--trust-policy {}", word(&settings.trust_policy)),
        format!("--outbox-days {}", settings.outbox_days),
        format!("--history-mib {}", settings.history_mib),
        format!("--max-event-mib {}", settings.max_event_mib),
        format!("--messages-from {}", of_messages_from(settings.messages_from)),
    ]
}
