//! One caller: reads messages, runs calls, writes answers and events through one bounded queue.
//!
//! ```text
//! input ─ parse ┬─ parallel calls, a task each that waits ─┐
//!               └─ serial calls, one task ─────────────────┼─ queue ─ writer
//!                       subscriptions ─────────────────────┘
//! ```
//! A caller that does not read fills its queue; then its calls wait, then its lines are not read. At
//! the end of input (or at shutdown) calls in flight finish, subscriptions send what the log has, the queue is
//! written out, and only then the connection closes. Of a caller that has hung up altogether, serial calls that
//! have begun are finished, and parallel ones, which wait or only ask, are dropped at once: nobody who left keeps a place.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use chat_protocol::rpc::{Concurrency, Kind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::lines::Line;
use super::methods::MethodTable;
use super::outbound::{Outbound, Outgoing, QUEUE};
use super::reply::{Id, Reply};
use super::requests::{Work, parse};
use super::serial;
use super::service::{Caller, Service, Stream};
use super::transport::{Sink, Source, WRITE_BYTES};

/// How long calls in flight, and then the last events and bytes, may take once a connection ends.
pub const FINISH_WITHIN: Duration = Duration::from_secs(5);
/// Most calls in flight: each may hold a line of a mebibyte.
const MAX_CALLS: usize = 32;

/// A caller and what it has going.
pub(super) struct Connection {
    table: Arc<MethodTable>,
    service: Service,
    caller: Arc<Caller>,
    queue: Outbound,
    queued: mpsc::Receiver<Outgoing>,
    calls: Calls,
    stream: Arc<Stream>,
    stop: CancellationToken,
}

/// The calls in flight.
struct Calls {
    tracker: TaskTracker,
    places: Arc<Semaphore>,
    /// Cancelled when they take too long after the end.
    abandoned: CancellationToken,
    /// Cancelled, for parallel ones, as soon as nobody can hear the answer.
    unheard: CancellationToken,
}

/// A call on its way, holding its place among [`MAX_CALLS`].
pub(super) struct Job {
    work: Work,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// A connection of `caller`; `stop` ends it as the end of input would.
    pub(super) fn new(table: Arc<MethodTable>, caller: Arc<Caller>, stop: CancellationToken) -> Self {
        let (queue, queued) = mpsc::channel(QUEUE);
        let stream = Arc::new(Stream::new(queue.clone()));
        let service = Service::new(Arc::clone(&table), Arc::clone(&caller), Some(Arc::clone(&stream)));
        let abandoned = CancellationToken::new();
        let calls = Calls {
            tracker: TaskTracker::new(),
            places: Arc::new(Semaphore::new(MAX_CALLS)),
            unheard: abandoned.child_token(),
            abandoned,
        };
        Self { table, service, caller, queue, queued, calls, stream, stop }
    }

    /// Serves until the caller is gone, or has said all and was answered.
    pub(super) async fn run(self, mut input: impl Source, output: impl Sink) {
        let Self { table, service, caller, queue, queued, calls, stream, stop } = self;
        let flush = CancellationToken::new();
        let mut writer = tokio::spawn(write(output, queued, flush.clone()));

        let (in_order, waiting) = mpsc::channel(MAX_CALLS);
        calls.spawn(&calls.abandoned, serial::run(service.clone(), waiting, queue.clone()));
        let reading = read(&mut input, &table, &service, &queue, &calls, in_order);
        // Lines half-read at shutdown are of no more interest.
        tokio::select! {
            () = reading => {}
            () = stop.cancelled() => {}
            () = queue.closed() => {}
            // The caller has no right any more, not even to what is in the log.
            () = caller.ended() => stream.cut(),
        }

        // The end of input may be half a goodbye, as of `nc -N`, which still reads.
        tokio::select! {
            () = calls.finish() => {}
            () = input.hung_up() => {
                calls.unheard.cancel();
                calls.finish().await;
            }
        }
        calls.abandoned.cancel();
        stream.ending.cancel();
        stream.senders.close();
        // One deadline for both: a reader that has stopped reading delays the daemon's end no longer.
        let last_words = async {
            stream.senders.wait().await;
            flush.cancel();
            let _ = (&mut writer).await;
        };
        if !within(last_words).await {
            writer.abort();
        }
    }
}

impl Calls {
    /// A place in flight, as soon as there is one.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// A place in flight, if there is one now.
    fn free_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Runs a parallel call: at once if it need not wait, or else beside the others for as long as somebody can hear its
    /// answer. Most only look at what is in memory, and a task for each would cost more than they do.
    async fn run(&self, call: impl Future<Output = ()> + Send + 'static) {
        // lines of who has hung up are still read to their end
        if self.unheard.is_cancelled() {
            return;
        }
        let mut call = Box::pin(call);
        let first = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        if first.is_pending() {
            self.spawn(&self.unheard, call);
        }
    }

    /// Runs `call` until `end`.
    fn spawn(&self, end: &CancellationToken, call: impl Future<Output = ()> + Send + 'static) {
        let end = end.clone();
        self.tracker.spawn(async move {
            // A call that is dropped here had [`FINISH_WITHIN`] to finish, or is a parallel one and has nobody to answer to.
            tokio::select! {
                () = end.cancelled() => {}
                () = call => {}
            }
        });
    }

    /// Waits for the calls in flight, for so long.
    async fn finish(&self) {
        self.tracker.close();
        within(self.tracker.wait()).await;
    }
}

/// Says whether it ended in time.
async fn within(end: impl Future<Output = ()>) -> bool {
    let ended = timeout(FINISH_WITHIN, end).await.is_ok();
    if !ended {
        debug!("a connection did not finish in time");
    }
    ended
}

/// Starts what each line asks for, until the input ends.
async fn read(
    input: &mut impl Source,
    table: &MethodTable,
    service: &Service,
    queue: &Outbound,
    calls: &Calls,
    in_order: mpsc::Sender<Job>,
) {
    while let Some(line) = input.next().await {
        let place = match calls.free_place() {
            // While all places are taken no line is read, and so no end of input noticed.
            None => tokio::select! {
                place = calls.place() => place,
                () = input.hung_up() => {
                    calls.unheard.cancel();
                    calls.place().await
                }
            },
            place => place,
        };
        let Some(place) = place else { return };
        let work = match line {
            Line::TooLong => Work::Refused(Reply::refused(&Id::null(), &Kind::FrameTooLarge.into())),
            Line::Text(line) => parse(&line, table),
        };
        let concurrency = work.concurrency();
        let greets = work.greets();
        let job = Job { work, _place: place };
        match concurrency {
            // what was written behind a token has that token's rights
            _ if greets => job.run(service.clone(), queue.clone()).await,
            Concurrency::Parallel => calls.run(job.run(service.clone(), queue.clone())).await,
            Concurrency::Serial if in_order.send(job).await.is_ok() => {}
            Concurrency::Serial => return,
        }
        // lines that wait for nothing must not keep others off this thread
        tokio::task::coop::consume_budget().await;
    }
}

impl Job {
    /// Whether the next call may begin before this one has ended.
    pub(super) fn lines_up(&self) -> bool {
        self.work.lines_up()
    }

    pub(super) async fn run(self, service: Service, queue: Outbound) {
        if let Some(reply) = self.work.run(&service).await {
            // Nobody is left to read it when this fails.
            let _ = queue.send(Outgoing::Answer(reply)).await;
        }
    }
}

/// Writes what is queued; after `flush`, what is left, and then it closes.
async fn write(mut output: impl Sink, mut queued: mpsc::Receiver<Outgoing>, flush: CancellationToken) {
    let mut gathered = Vec::new();
    loop {
        let first = tokio::select! {
            biased;
            first = queued.recv() => first,
            // Nothing is taken from the queue when this branch wins.
            () = flush.cancelled(), if !queued.is_closed() => {
                queued.close();
                continue;
            }
        };
        let Some(first) = first else { return output.close().await };
        // others that can go on now do so first: what they add is written with this one, by the same call of the system
        tokio::task::yield_now().await;
        let mut bytes = output.add(&first);
        gathered.push(first);
        while bytes < WRITE_BYTES
            && let Ok(more) = queued.try_recv()
        {
            bytes = output.add(&more);
            gathered.push(more);
        }
        if output.flush().await.is_err() {
            return;
        }
        gathered.drain(..).for_each(|outgoing| outgoing.was_written());
    }
}
