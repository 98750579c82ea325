//! A logged-in connection at work: one half reads, one half writes, until either ends.
//!
//! Both run in the link's own task. The reader hands frames to the daemon in order; while the daemon
//! takes none, nothing is read and TCP slows the server down, which costs only this account. The writer
//! packs what is queued into one record and never waits for more.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::frame::{Frame, FrameKind, decode_frames};
use chat_protocol::limits::PACK_RECORD_BYTES;
use chat_protocol::message::Answer;
use chat_protocol::message::server::Push;
use chat_protocol::record::{Opener, Record, Sealer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Lost, next_record};
use super::{Heard, LinkEvent, Timing};
use crate::clock;

/// How the talk ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// By the network or the server.
    Lost(Lost),
    /// Kicked, and without a sign of life since.
    Kicked,
    /// The daemon stopped the link, or is gone.
    Stopped,
}

/// What a conversation has to do with beside its connection.
pub(super) struct Around<'l> {
    pub(super) events: &'l mpsc::Sender<LinkEvent>,
    pub(super) timing: &'l Timing,
    /// Asks for a sign of life at once.
    pub(super) kick: &'l Notify,
    /// Noted with every record.
    pub(super) heard: &'l Heard,
}

/// Pings and pongs the reader wants written. Four: more of them waiting would say nothing new, so they are dropped.
const CONTROL_QUEUE: usize = 4;

/// Runs the connection until it ends.
pub(super) async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    connection: Connection<S>,
    requests: &mut mpsc::Receiver<Frame>,
    around: Around<'_>,
    stop: &CancellationToken,
) -> Ended {
    let Connection { stream, sealer, opener, pending, .. } = connection;
    let (input, output) = tokio::io::split(stream);
    let (control, controls) = mpsc::channel(CONTROL_QUEUE);
    let mut reader = Reader { input, opener, around, control, asked: None };
    let writer = Writer { output, sealer, requests, controls };
    // whichever half ends first ends the connection: the other one's state is dropped with it
    tokio::select! {
        ended = reader.run(pending) => ended,
        ended = writer.run(stop) => ended,
    }
}

struct Reader<'l, S> {
    input: ReadHalf<S>,
    opener: Opener,
    around: Around<'l>,
    control: mpsc::Sender<Record>,
    /// When the ping was queued whose answer has not come.
    asked: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<'_, S> {
    async fn run(&mut self, pending: impl IntoIterator<Item = Frame>) -> Ended {
        for frame in pending {
            if let Err(ended) = self.dispatch(frame).await {
                return ended;
            }
        }
        loop {
            if let Err(ended) = self.step().await {
                return ended;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Ended> {
        let record = self.record().await?;
        self.around.heard.now();
        match record {
            Record::Data(body) => {
                let frames = decode_frames(&body).map_err(|_| Ended::Lost(Lost::Malformed))?;
                for frame in frames {
                    self.dispatch(frame).await?;
                }
                Ok(())
            }
            Record::Close => Err(Ended::Lost(Lost::Closed)),
            Record::Ping => {
                self.write(Record::Pong);
                Ok(())
            }
            Record::Pong => self.answered().await,
        }
    }

    /// A pong nobody asked for says nothing.
    async fn answered(&mut self) -> Result<(), Ended> {
        let Some(asked) = self.asked.take() else { return Ok(()) };
        self.around.events.send(LinkEvent::RoundTrip(asked.elapsed())).await.map_err(|_| Ended::Stopped)
    }

    /// Waits for a record, asking for signs of life in between.
    async fn record(&mut self) -> Result<Record, Ended> {
        let Timing { ping_after, dead_after, kick: patience, .. } = *self.around.timing;
        let silent_since = Instant::now();
        let (mut dead, mut ping, mut kicked) = (silent_since + dead_after, silent_since + ping_after, false);
        loop {
            let until = ping.min(dead);
            // cancel-safe: bytes read are kept in the opener, a kick that is not taken stays, the timer only waits
            tokio::select! {
                biased;
                record = next_record(&mut self.input, &mut self.opener) => return record.map_err(Ended::Lost),
                () = self.around.kick.notified() => {
                    kicked = true;
                    dead = dead.min(Instant::now() + patience);
                    self.ask();
                }
                () = sleep_until(until) => match until == dead {
                    true if kicked => return Err(Ended::Kicked),
                    true => return Err(Ended::Lost(Lost::Silent)),
                    false => {
                        self.ask();
                        ping += ping_after.max(Duration::from_millis(1));
                    }
                },
            }
        }
    }

    fn ask(&mut self) {
        self.asked.get_or_insert_with(Instant::now);
        self.write(Record::Ping);
    }

    fn write(&self, record: Record) {
        let _ = self.control.try_send(record);
    }

    async fn dispatch(&self, frame: Frame) -> Result<(), Ended> {
        let Some(event) = read_frame(frame).map_err(Ended::Lost)? else { return Ok(()) };
        self.around.events.send(event).await.map_err(|_| Ended::Stopped)
    }
}

/// What a frame of the server means; `None` for a push of a later version.
fn read_frame(frame: Frame) -> Result<Option<LinkEvent>, Lost> {
    match frame.kind {
        FrameKind::Ok => {
            let answer = Answer::decode(frame.number, &frame.payload).map_err(|_| Lost::Malformed)?;
            Ok(Some(LinkEvent::Answer { id: frame.id, result: Ok(answer) }))
        }
        FrameKind::Error => {
            let refusal = cbor::decode(&frame.payload).map_err(|_| Lost::Malformed)?;
            Ok(Some(LinkEvent::Answer { id: frame.id, result: Err(refusal) }))
        }
        FrameKind::Push => {
            let push = Push::decode(frame.number, &frame.payload).map_err(|_| Lost::Malformed)?;
            Ok(push.map(LinkEvent::Push))
        }
        FrameKind::Request => Err(Lost::Malformed),
    }
}

struct Writer<'l, S> {
    output: WriteHalf<S>,
    sealer: Sealer,
    requests: &'l mut mpsc::Receiver<Frame>,
    controls: mpsc::Receiver<Record>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<'_, S> {
    async fn run(mut self, stop: &CancellationToken) -> Ended {
        loop {
            // cancel-safe: each branch takes one thing off a queue, or nothing
            let records = tokio::select! {
                biased;
                () = stop.cancelled() => return self.close().await,
                Some(control) = self.controls.recv() => vec![control],
                request = self.requests.recv() => match request {
                    Some(first) => pack(first, self.requests),
                    None => return self.close().await,
                },
            };
            if let Err(error) = self.write(&records).await {
                return Ended::Lost(error.into());
            }
        }
    }

    async fn write(&mut self, records: &[Record]) -> std::io::Result<()> {
        let (mut bytes, now) = (Vec::new(), clock::running());
        records.iter().for_each(|record| self.sealer.seal(record, now, &mut bytes));
        self.output.write_all(&bytes).await?;
        self.output.flush().await
    }

    async fn close(mut self) -> Ended {
        // the connection is over, whether the server hears it or not
        let _ = self.write(&[Record::Close]).await;
        let _ = self.output.shutdown().await;
        Ended::Stopped
    }
}

/// Everything queued, in as few records as may be; a frame over the packed size gets one of its own.
fn pack(first: Frame, queue: &mut mpsc::Receiver<Frame>) -> Vec<Record> {
    let mut bodies = vec![Vec::new()];
    let mut next = Some(first);
    while let Some(frame) = next {
        let mut bytes = Vec::with_capacity(frame.payload.len() + 16);
        frame.encode_into(&mut bytes);
        match bodies.last_mut() {
            Some(body) if body.is_empty() || body.len() + bytes.len() <= PACK_RECORD_BYTES => body.append(&mut bytes),
            _ => bodies.push(bytes),
        }
        next = queue.try_recv().ok();
    }
    bodies.into_iter().map(Record::Data).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: u64, bytes: usize) -> Frame {
        let mut payload = Vec::new();
        minicbor::Encoder::new(&mut payload).bytes(&vec![0; bytes]).unwrap();
        Frame { kind: FrameKind::Request, id, number: 1, payload }
    }

    #[test]
    fn what_is_queued_goes_out_packed_and_in_order() {
        let (sender, mut queue) = mpsc::channel(10);
        for (id, bytes) in [(2, 100), (3, 40_000), (4, 9_000), (5, 9_000)] {
            sender.try_send(frame(id, bytes)).unwrap();
        }
        let records = pack(frame(1, 100), &mut queue);
        let ids: Vec<Vec<u64>> = records
            .iter()
            .map(|record| match record {
                Record::Data(body) => decode_frames(body).unwrap().iter().map(|frame| frame.id).collect(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, [vec![1, 2], vec![3], vec![4], vec![5]]);
    }

    #[test]
    fn frames_that_make_no_sense_end_the_connection() {
        let mut frame = frame(1, 0);
        assert!(matches!(read_frame(frame.clone()), Err(Lost::Malformed)));
        frame.kind = FrameKind::Error;
        assert!(matches!(read_frame(frame.clone()), Err(Lost::Malformed)));
        frame = Frame { kind: FrameKind::Push, number: 999, ..frame };
        assert!(matches!(read_frame(frame), Ok(None)));
    }
}
