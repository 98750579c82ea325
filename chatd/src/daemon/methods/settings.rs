//! Settings, of which the server hears one.

use chat_protocol::message::client::PresenceWatch;
use chat_protocol::rpc::Handle;
use chat_protocol::rpc::types::{Settings, SettingsGet, SettingsSet};

use crate::api::Answer;
use crate::daemon::Daemon;
use crate::engine::settings;

impl Handle<SettingsGet> for Daemon {
    async fn handle(&self, SettingsGet {}: SettingsGet) -> Answer<Settings> {
        self.rows(|rows| settings::Settings::get(rows).map(|settings| settings.shown())).await
    }
}

impl Handle<SettingsSet> for Daemon {
    async fn handle(&self, wanted: SettingsSet) -> Answer<Settings> {
        settings::check(&wanted)?;
        let visible = wanted.presence;
        let settings = self.command(move |txn| Ok(settings::set(txn, &wanted)?)).await?;
        if let Some(visible) = visible {
            // Without a connection the next one says it.
            if let Err(error) = self.ask(&PresenceWatch { visible }).await {
                tracing::debug!(%error, "the server hears of the visibility later");
            }
        }
        Ok(settings.shown())
    }
}
