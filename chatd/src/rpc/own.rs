//! The methods that the socket side answers by itself: what it knows is who calls, which consumers read, and which
//! tokens are in use.

use chat_protocol::rpc::types::{
    Acked, Consumers, DaemonHealth, DaemonMetrics, Discover, Done, EventsAck, EventsConsumers, EventsForget,
    EventsPull, Health, Hello, HelloAnswer, MetricsText, TokenCreate, TokenRevoke,
};
use chat_protocol::rpc::{API_VERSION, Kind, RpcError, openrpc};

use super::access::{self, Access};
use super::methods::{MethodTable, Shared};
use super::pull;
use crate::api::Answer;
use crate::metrics::CONTENT_TYPE;

/// Adds all but those that need the connection.
pub(super) fn add(table: &mut MethodTable) {
    table.add(|_, _, Discover {}| async {
        // it takes milliseconds to make: in a task of its own, not in the one that reads the connection's lines
        tokio::task::yield_now().await;
        Ok(openrpc::document())
    });
    table.add(|shared, access, DaemonHealth {}| async move { health(&shared, &access).await });
    table.add(|shared, access, DaemonMetrics {}| async move { metrics(&shared, &access).await });
    table.add(|shared, _, params: TokenCreate| async move { access::create(shared.backend.as_ref(), params).await });
    table.add(|shared, _, params: TokenRevoke| async move {
        shared.backend.token_revoke(&params.name).await?;
        shared.tokens.revoked(&params.name);
        Ok(Done {})
    });
    table.add(|shared, _, params: EventsAck| async move {
        let EventsAck { consumer, seq } = params;
        let acked_seq = shared.backend.consumer_ack(&consumer, seq).await?;
        shared.consumers.acked(&consumer, acked_seq);
        Ok(Acked { acked_seq })
    });
    table.add_written(|shared, access, params: EventsPull| async move {
        pull::pull(shared.backend.as_ref(), &access, params).await
    });
    table.add(|shared, access, EventsConsumers {}| async move {
        let mut consumers = shared.backend.consumers().await?;
        consumers.retain(|consumer| access.owns(&consumer.name));
        shared.consumers.mark(&mut consumers);
        Ok(Consumers { consumers })
    });
    table.add(|shared, _, params: EventsForget| async move {
        shared.backend.consumer_forget(&params.consumer).await?;
        shared.consumers.forgotten(&params.consumer);
        Ok(Done {})
    });
}

/// Whether both sides speak the same version.
///
/// # Errors
/// `version_mismatch`.
pub(super) fn hello(params: &Hello) -> Answer<HelloAnswer> {
    if params.api != API_VERSION {
        let message = format!("this daemon speaks version {API_VERSION} of the API");
        return Err(RpcError::new(Kind::VersionMismatch, message));
    }
    Ok(HelloAnswer {
        api: API_VERSION.to_owned(),
        daemon: concat!("chatd/", env!("CARGO_PKG_VERSION")).to_owned(),
        features: Vec::new(),
    })
}

/// What was counted, and what is so at the moment, as far as it is the caller's to know.
///
/// # Errors
/// What the store says.
pub(super) async fn metrics(shared: &Shared, access: &Access) -> Answer<MetricsText> {
    let health = health(shared, access).await?;
    let newest = *shared.backend.newest_event().borrow();
    let text = shared.backend.metrics().text(&health, newest);
    let text = text.map_err(|error| RpcError::new(Kind::Internal, error.to_string()))?;
    Ok(MetricsText { content_type: CONTENT_TYPE.to_owned(), text })
}

async fn health(shared: &Shared, access: &Access) -> Answer<Health> {
    let mut health = shared.backend.health().await?;
    health.consumers.retain(|consumer| access.owns(&consumer.name));
    shared.consumers.mark(&mut health.consumers);
    Ok(health)
}
