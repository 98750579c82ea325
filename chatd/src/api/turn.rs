//! When the next call of a connection may begin: as soon as the one before it has its place in the daemon's line.

use std::cell::Cell;

use tokio::sync::oneshot;

tokio::task_local! {
    static TURN: Cell<Option<oneshot::Sender<()>>>;
}

/// The call, and what resolves once it has taken its turn; or never, if it ends without.
pub(crate) fn taking<C: Future>(call: C) -> (impl Future<Output = C::Output>, impl Future<Output = ()>) {
    let (taken, wait) = oneshot::channel();
    let call = TURN.scope(Cell::new(Some(taken)), call);
    let wait = async {
        if wait.await.is_err() {
            std::future::pending().await
        }
    };
    (call, wait)
}

/// The call has its place: whatever is asked for from now on is done after it.
pub(crate) fn taken() {
    // whoever is not called over a connection has nobody behind it
    let _ = TURN.try_with(|turn| turn.take().map(|taken| taken.send(())));
}
