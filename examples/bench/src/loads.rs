//! The workloads: what is asked of a server, and what that costs it.

pub(crate) mod idle;
pub(crate) mod pairs;
pub(crate) mod room;
pub(crate) mod store;

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use crate::Fallible;
use crate::connection::{Connection, Io};
use crate::protocols::{Event, Peer, To};
use crate::usage::{Processes, own_cpu};

/// Longest wait for a login, or for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether everything arrived.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What the server has to itself before it is loaded, after the logins.
const SETTLE: Duration = Duration::from_millis(500);

/// What a workload is run against, and for how long.
pub(crate) struct Context {
    pub(crate) peer: Rc<Peer>,
    pub(crate) server: Processes,
    pub(crate) seconds: f64,
    pub(crate) warm: f64,
    /// What was sent and did not arrive so long after the last message is lost.
    pub(crate) quiet: Duration,
}

type Counter = Rc<Cell<u64>>;

fn count(counter: &Counter) -> u64 {
    counter.set(counter.get() + 1);
    counter.get()
}

/// The writing half of a connection, which several tasks use.
#[derive(Clone)]
struct Writer(Rc<Mutex<WriteHalf<Box<dyn Io>>>>);

impl Writer {
    async fn send(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut io = self.0.lock().await;
        io.write_all(bytes).await?;
        io.flush().await
    }
}

/// The reading half.
struct Reader {
    io: ReadHalf<Box<dyn Io>>,
    read: BytesMut,
    writer: Writer,
}

fn split(connection: Connection) -> Reader {
    let (io, out) = tokio::io::split(connection.io);
    Reader { io, read: connection.read, writer: Writer(Rc::new(Mutex::new(out))) }
}

impl Reader {
    /// Reads until the connection ends, which `ended` counts; `hear` is told what is said, `after` that a read was used up.
    fn start(
        mut self,
        peer: Rc<Peer>,
        ended: Counter,
        mut hear: impl FnMut(Event<'_>) + 'static,
        mut after: impl FnMut() + 'static,
    ) {
        spawn_local(async move {
            let mut out = Vec::new();
            loop {
                peer.take(&mut self.read, &mut out, &mut hear);
                after();
                if !out.is_empty() {
                    if self.writer.send(&out).await.is_err() {
                        break;
                    }
                    out.clear();
                }
                self.read.reserve(16 * 1024);
                if !matches!(self.io.read_buf(&mut self.read).await, Ok(1..)) {
                    break;
                }
            }
            count(&ended);
        });
    }
}

/// Logs users in, so many at a time, and has them listen; in the order of the users.
async fn connect_all(
    peer: &Rc<Peer>,
    users: Range<usize>,
    at_once: usize,
    listen: Listen,
) -> Fallible<Vec<Connection>> {
    let (places, wanted) = (Arc::new(Semaphore::new(at_once)), users.len());
    let connected = Rc::new(RefCell::new(Vec::with_capacity(wanted)));
    let failed = Rc::new(RefCell::new(None));
    let mut tasks = Vec::with_capacity(wanted);
    for user in users {
        let place = Arc::clone(&places).acquire_owned().await?;
        if failed.borrow().is_some() {
            break;
        }
        let (peer, connected, failed) = (Rc::clone(peer), Rc::clone(&connected), Rc::clone(&failed));
        let listen = listen.clone();
        tasks.push(spawn_local(async move {
            match timeout(PATIENCE, connect(&peer, user, &listen)).await {
                Ok(Ok(connection)) => connected.borrow_mut().push((user, connection)),
                Ok(Err(error)) => *failed.borrow_mut() = Some(format!("user {user}: {error}")),
                Err(_) => *failed.borrow_mut() = Some(format!("user {user}: no answer within {PATIENCE:?}")),
            }
            drop(place);
        }));
    }
    for task in tasks {
        task.await?;
    }
    if let Some(error) = failed.take() {
        return Err(error.into());
    }
    let mut connected = connected.take();
    connected.sort_by_key(|(user, _)| *user);
    Ok(connected.into_iter().map(|(_, connection)| connection).collect())
}

/// What those who log in want to hear.
#[derive(Clone)]
enum Listen {
    Nothing,
    Room(Rc<str>),
    Own,
}

async fn connect(peer: &Peer, user: usize, listen: &Listen) -> Fallible<Connection> {
    let mut connection = peer.connect(user, true).await?;
    match listen {
        Listen::Nothing => {}
        Listen::Room(room) => peer.listen(&mut connection, To::Room(room)).await?,
        Listen::Own => peer.listen(&mut connection, To::User(user)).await?,
    }
    Ok(connection)
}

/// What was used while something was measured.
struct Measured {
    seconds: f64,
    server_cpu: f64,
    own_cpu: f64,
    /// How much was counted meanwhile.
    count: f64,
}

/// Takes the time, the CPU and a count.
struct Measure {
    began: Instant,
    server_cpu: f64,
    own_cpu: f64,
    count: u64,
}

impl Measure {
    fn begin(context: &Context, count: u64) -> Self {
        Self { began: Instant::now(), server_cpu: context.server.cpu(), own_cpu: own_cpu(), count }
    }

    fn end(&self, context: &Context, count: u64) -> Measured {
        Measured {
            seconds: self.began.elapsed().as_secs_f64(),
            server_cpu: context.server.cpu() - self.server_cpu,
            own_cpu: own_cpu() - self.own_cpu,
            count: (count - self.count) as f64,
        }
    }
}

impl Measured {
    /// What every workload tells: CPU of the server for each in microseconds, rate, and the shares of a core that server and
    /// generator took. Where nothing was counted there is no CPU for each.
    fn figures(&self) -> Value {
        let each = (self.count > 0.0).then(|| self.server_cpu / self.count * 1e6);
        json!({
            "count": self.count,
            "cpu_us": each,
            "per_second": self.count / self.seconds,
            "server_share": self.server_cpu / self.seconds,
            "generator_share": self.own_cpu / self.seconds,
        })
    }
}

/// Adds to what `figures` tells.
fn with(mut figures: Value, more: Value) -> Value {
    if let (Some(figures), Value::Object(more)) = (figures.as_object_mut(), more) {
        figures.extend(more);
    }
    figures
}

/// Waits until everything arrived that was sent, or nothing comes any more; how many are missing.
async fn missing(context: &Context, arrived: &Counter, wanted: impl Fn() -> u64) -> u64 {
    let (mut seen, mut since) = (arrived.get(), Instant::now());
    while arrived.get() < wanted() && since.elapsed() < context.quiet {
        sleep(LOOK_EVERY).await;
        if arrived.get() != seen {
            (seen, since) = (arrived.get(), Instant::now());
        }
    }
    wanted().saturating_sub(arrived.get())
}
