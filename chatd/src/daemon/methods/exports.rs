//! Taking the history out.

use std::sync::Arc;

use chat_protocol::rpc::Handle;
use chat_protocol::rpc::types::{ExportPage, Exported, MsgExport, MsgExportPage};

use crate::api::Answer;
use crate::daemon::{Daemon, blocking, export};

impl Handle<MsgExport> for Daemon {
    async fn handle(&self, asked: MsgExport) -> Answer<Exported> {
        let reader = Arc::clone(&self.reader);
        blocking(move || export::run(&reader, &asked)).await
    }
}

impl Handle<MsgExportPage> for Daemon {
    async fn handle(&self, asked: MsgExportPage) -> Answer<ExportPage> {
        let reader = Arc::clone(&self.reader);
        blocking(move || export::page(&reader, &asked)).await
    }
}
