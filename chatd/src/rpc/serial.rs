//! The calls of one connection that keep their order.
//!
//! Each runs when the one before it has ended. A call that only has to take its turn, as `msg.send`, says so once its
//! place in the daemon's line is certain ([`turn`]); then the next one begins while it waits for its commit, which
//! both share.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::connection::Job;
use super::outbound::Outbound;
use super::service::Service;
use crate::api::turn;

/// Runs calls in their order, until no more come and all have ended.
pub(super) async fn run(service: Service, mut waiting: mpsc::Receiver<Job>, queue: Outbound) {
    // in line, and not answered yet: as many as a connection may have in flight
    let mut in_line = FuturesUnordered::new();
    loop {
        let job = tokio::select! {
            Some(()) = in_line.next() => continue,
            job = waiting.recv() => job,
        };
        let Some(job) = job else { break };
        if !job.lines_up() {
            while in_line.next().await.is_some() {}
            job.run(service.clone(), queue.clone()).await;
            continue;
        }
        let (call, taken) = turn::taking(job.run(service.clone(), queue.clone()));
        let (mut call, mut taken) = (Box::pin(call), std::pin::pin!(taken));
        loop {
            // An answer that is ready does not wait for the next call to find its place.
            tokio::select! {
                biased;
                () = &mut call => break,
                () = &mut taken => {
                    in_line.push(call);
                    break;
                }
                Some(()) = in_line.next() => {}
            }
        }
    }
    while in_line.next().await.is_some() {}
}
