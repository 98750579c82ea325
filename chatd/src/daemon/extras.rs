//! Calls that need more than one step: settings that the server hears of, the search index, exports.

use std::sync::{Arc, PoisonError};

use chat_protocol::message::client::PresenceWatch;
use chat_protocol::rpc::RpcError;
use chat_protocol::rpc::types::{
    self, ExportPage, Exported, MsgExport, MsgExportPage, MsgSearch, SearchPage, SettingsSet,
};

use super::{Daemon, ended, errors, export, search};
use crate::api::Answer;
use crate::engine::settings::{self, Settings};
use crate::store::{Rows, RowsError};

impl Daemon {
    /// Reads rows where nothing but the rows can fail.
    pub(super) async fn rows<T, F>(&self, read: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Rows) -> Result<T, RowsError> + Send + 'static,
    {
        self.read(move |rows| read(rows).map_err(|error| errors::rows(&error))).await
    }

    pub(super) async fn settings(&self) -> Answer<types::Settings> {
        self.rows(|rows| Settings::get(rows).map(|settings| settings.shown())).await
    }

    pub(super) async fn change_settings(&self, wanted: SettingsSet) -> Answer<types::Settings> {
        settings::check(&wanted)?;
        let visible = wanted.presence;
        let settings = self.command(move |turn| Ok(settings::set(turn, &wanted)?)).await?;
        if let Some(visible) = visible {
            // Without a connection the next one says it.
            if let Err(error) = self.ask(&PresenceWatch { visible }).await {
                tracing::debug!(%error, "the server hears of the visibility later");
            }
        }
        Ok(settings.shown())
    }

    /// One search at a time: they share the index.
    pub(super) async fn search(&self, asked: MsgSearch) -> Answer<SearchPage> {
        let (reader, index) = (Arc::clone(&self.reader), Arc::clone(&self.index));
        blocking(move || {
            let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
            reader
                .read(|rows| search::run(&mut index, rows, &asked).map_err(errors::Reading::from))
                .map_err(RpcError::from)
        })
        .await
    }

    pub(super) async fn export(&self, asked: MsgExport) -> Answer<Exported> {
        let reader = Arc::clone(&self.reader);
        blocking(move || export::run(&reader, &asked)).await
    }

    pub(super) async fn export_page(&self, asked: MsgExportPage) -> Answer<ExportPage> {
        let reader = Arc::clone(&self.reader);
        blocking(move || export::page(&reader, &asked)).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(ended()))
}
