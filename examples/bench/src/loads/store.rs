//! Messages for users who are offline, each acknowledged by the server; then the users come for them.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{Context, Measure, PATIENCE, SETTLE, with};
use crate::Fallible;
use crate::histogram::Histogram;
use crate::protocols::{Event, Protocol, To};
use crate::usage::now;

/// Who writes to them.
const AUTHOR: usize = 999_999;

/// One author, `window` messages unacknowledged at once, to `users` in turn, who then come for them.
pub(crate) async fn run(context: &Context, messages: u64, window: u64, users: Range<usize>) -> Fallible<Value> {
    let peer = &context.peer;
    peer.keep_for(users.clone()).await?;
    sleep(SETTLE).await;
    let mut author = peer.connect_author(AUTHOR).await?;
    let (mut sent, mut kept, mut out) = (0_u64, 0_u64, Vec::new());
    let (mut times, mut under_way) = (Histogram::new(), VecDeque::new());
    let measure = Measure::begin(context, 0);
    while kept < messages {
        out.clear();
        while sent < messages && sent - kept < window {
            let to = users.start + sent as usize % users.len();
            peer.say(&mut out, To::User(to), sent, true);
            under_way.push_back(now());
            sent += 1;
        }
        if !out.is_empty() {
            author.send(&out).await?;
        }
        out.clear();
        timeout(PATIENCE, author.fill()).await.map_err(|_| "the server acknowledges nothing more")??;
        let (mut acknowledged, mut refused) = (0, 0_u64);
        peer.take(&mut author.read, &mut out, &mut |event| match event {
            Event::Accepted => acknowledged += 1,
            Event::Refused => refused += 1,
            Event::Message(_) => {}
        });
        if refused > 0 {
            return Err(format!("{refused} messages were refused").into());
        }
        if !out.is_empty() {
            author.send(&out).await?;
        }
        for at in (0..acknowledged).filter_map(|_| under_way.pop_front()) {
            times.add(now().saturating_sub(at));
        }
        kept += acknowledged;
    }
    let measured = measure.end(context, kept);
    let more = json!({
        "p50_us": times.microseconds(0.5),
        "p99_us": times.microseconds(0.99),
        "resident_kib": context.server.resident(),
    });
    let figures = with(measured.figures(), more);
    // a JetStream is read by other means
    if matches!(peer.protocol, Protocol::Nats) {
        return Ok(figures);
    }
    Ok(with(figures, collect(context, users, messages).await?))
}

/// Logs the users in, one after another, and counts what waited for them.
async fn collect(context: &Context, users: Range<usize>, messages: u64) -> Fallible<Value> {
    let peer = &context.peer;
    let (mut got, mut last) = (0_u64, Instant::now());
    let measure = Measure::begin(context, 0);
    'users: for (index, user) in users.clone().enumerate() {
        let mut connection = peer.connect(user, false).await?;
        let until = messages * (index as u64 + 1) / users.len() as u64;
        let mut out = Vec::new();
        loop {
            let mut found = 0;
            peer.take(&mut connection.read, &mut out, &mut |event| {
                found += u64::from(matches!(event, Event::Message(_)))
            });
            got += found;
            if found > 0 {
                last = Instant::now();
            }
            if !out.is_empty() {
                connection.send(&out).await?;
                out.clear();
            }
            if got >= until {
                break;
            }
            // a server that loses messages is not waited for at every user
            if timeout(context.quiet, connection.fill()).await.map_or(true, |read| read.is_err()) {
                break 'users;
            }
        }
    }
    let cpu = measure.end(context, got).server_cpu;
    let seconds = last.duration_since(measure.began).max(Duration::from_micros(1)).as_secs_f64();
    Ok(json!({
        "lost": messages.saturating_sub(got),
        "collected_per_second": got as f64 / seconds,
        "collected_cpu_us": cpu / got.max(1) as f64 * 1e6,
    }))
}
