//! What the daemon counts, and how Prometheus reads it.
//!
//! Counters belong to one daemon and begin at 0 with it. Names are a promise, since dashboards are built on them; labels
//! are words of fixed lists, and the names the user gave to consumers: never users, chats or anything that was said.
//! What is so at the moment is not counted but taken from [`Health`] when somebody asks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_protocol::rpc::types::{ConnectionState, Health};
use prometheus::{
    Error, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::engine::Counted;

/// What comes before every name.
const PREFIX: &str = "chatd";
/// Seconds a commit may take, from an SSD's half a millisecond to a disk that is in trouble.
const COMMIT_SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// Inputs of a batch, up to the most there are in one.
const BATCH_INPUTS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// How Prometheus knows the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The counters of one daemon.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    began: SystemTime,
    events: IntCounterVec,
    sent: IntCounter,
    received: IntCounter,
    undecryptable: IntCounter,
    connects: IntCounter,
    commits: Histogram,
    batches: Histogram,
    not_stored: IntCounter,
    calls: IntCounterVec,
    subscriptions: IntGauge,
    dropped: IntCounter,
}

impl Metrics {
    /// Counters at 0.
    ///
    /// # Errors
    /// [`Error`] only if two of them have one name.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new_custom(Some(PREFIX.to_owned()), None)?;
        let maker = Maker(&registry);
        Ok(Self {
            began: SystemTime::now(),
            events: maker.counters("events_total", "Events appended to the log.", &["type"])?,
            sent: maker.counter("messages_sent_total", "Own messages that entered the history.")?,
            received: maker.counter("messages_received_total", "Messages of others that entered the history.")?,
            undecryptable: maker.counter("messages_undecryptable_total", "Messages that could not be opened.")?,
            connects: maker.counter("connects_total", "Logins on the server: all but one are reconnects.")?,
            commits: maker.histogram("commit_duration_seconds", "How long a transaction took.", &COMMIT_SECONDS)?,
            batches: maker.histogram("batch_inputs", "Inputs that shared a transaction.", &BATCH_INPUTS)?,
            not_stored: maker.counter("commits_failed_total", "Transactions that stored nothing.")?,
            calls: maker.counters("calls_total", "Calls, by what came of them.", &["method", "outcome"])?,
            subscriptions: maker.level("subscriptions", "Subscriptions that are open.")?,
            dropped: maker.counter("volatile_dropped_total", "Volatile events that found a reader too slow.")?,
            registry,
        })
    }

    /// Counts what the engine did, once it is committed.
    pub(crate) fn count(&self, counted: Counted) {
        match counted {
            Counted::Event(kind) => self.events.with_label_values(&[kind]).inc(),
            Counted::Sent => self.sent.inc(),
            Counted::Received => self.received.inc(),
            Counted::Undecryptable => self.undecryptable.inc(),
        }
    }

    /// A transaction with `inputs` has been tried.
    pub(crate) fn committed(&self, inputs: usize, took: Duration, stored: bool) {
        if stored {
            self.commits.observe(took.as_secs_f64());
            self.batches.observe(f64::from(u32::try_from(inputs).unwrap_or(u32::MAX)));
        } else {
            self.not_stored.inc();
        }
    }

    /// The server has let this device in.
    pub(crate) fn connected(&self) {
        self.connects.inc();
    }

    /// A call was answered: `ok`, or with a kind of error.
    pub(crate) fn called(&self, method: &str, outcome: &str) {
        self.calls.with_label_values(&[method, outcome]).inc();
    }

    /// Volatile events were dropped.
    pub(crate) fn dropped(&self, events: u64) {
        self.dropped.inc_by(events);
    }

    /// A subscription is open for as long as the answer lives.
    pub(crate) fn subscription(&self) -> Open {
        self.subscriptions.inc();
        Open(self.subscriptions.clone())
    }

    /// All of it, in Prometheus' text format.
    ///
    /// # Errors
    /// [`Error`] if it cannot be put into words, which would be a defect here.
    pub fn text(&self, health: &Health, newest_seq: u64) -> Result<String, Error> {
        let mut families = self.registry.gather();
        families.extend(self.moment(health, newest_seq)?.gather());
        TextEncoder::new().encode_to_string(&families)
    }

    /// What is so at the moment.
    fn moment(&self, health: &Health, newest_seq: u64) -> Result<Registry, Error> {
        let registry = Registry::new_custom(Some(PREFIX.to_owned()), None)?;
        let maker = Maker(&registry);
        maker.levels("build_info", "Always 1; the version is a label.", "version")?(env!("CARGO_PKG_VERSION"), 1.0);
        maker.at("start_time_seconds", "When the daemon began, in seconds since 1970.", seconds(self.began))?;
        maker.at("uptime_seconds", "How long it has run.", self.began.elapsed().unwrap_or_default().as_secs_f64())?;
        maker.at("ready", "1 while messages are received and can be stored.", f64::from(u8::from(health.ready)))?;
        maker.at("newest_seq", "Sequence of the newest event of the log.", float(newest_seq))?;
        maker.at("outbox_queued", "Messages the server has not accepted yet.", float(health.outbox.queued))?;
        maker.at("outbox_failed", "Messages given up.", float(health.outbox.failed))?;
        maker.at("store_bytes", "Size of the store on disk.", float(health.store.bytes))?;
        if let Some(millis) = health.connection.rtt_ms {
            maker.at("rtt_seconds", "Last measured round trip to the server.", float(millis) / 1000.0)?;
        }
        let state = maker.levels("connection", "1 for the state the connection is in.", "state")?;
        STATES.iter().for_each(|(known, word)| state(word, f64::from(u8::from(*known == health.connection.state))));
        let lag = maker.levels("consumer_lag", "Events a consumer has not acknowledged.", "consumer")?;
        health.consumers.iter().for_each(|consumer| lag(consumer.name.as_str(), float(consumer.lag)));
        Ok(registry)
    }
}

/// Every state of the connection, and its word.
const STATES: [(ConnectionState, &str); 6] = [
    (ConnectionState::Idle, "idle"),
    (ConnectionState::Connecting, "connecting"),
    (ConnectionState::Online, "online"),
    (ConnectionState::Offline, "offline"),
    (ConnectionState::AuthFailed, "auth_failed"),
    (ConnectionState::Kicked, "kicked"),
];

/// Counts a subscription until it is dropped.
#[derive(Debug)]
pub(crate) struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Makes metrics of a registry.
struct Maker<'r>(&'r Registry);

impl Maker<'_> {
    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        let counter = IntCounter::new(name, help)?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, Error> {
        let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
        self.0.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }

    fn level(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        let level = IntGauge::new(name, help)?;
        self.0.register(Box::new(level.clone()))?;
        Ok(level)
    }

    /// A level as it is now.
    fn at(&self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        let level = Gauge::new(name, help)?;
        level.set(value);
        self.0.register(Box::new(level))
    }

    /// Levels as they are now, set one by one.
    fn levels(&self, name: &str, help: &str, label: &str) -> Result<impl Fn(&str, f64) + use<>, Error> {
        let levels = GaugeVec::new(Opts::new(name, help), &[label])?;
        self.0.register(Box::new(levels.clone()))?;
        Ok(move |of: &str, value| levels.with_label_values(&[of]).set(value))
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The format knows floating point only; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "the format knows nothing else")]
const fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use chat_protocol::rpc::types::{Connection, Consumer, OutboxHealth, StoreHealth};

    use super::*;

    fn health() -> Health {
        Health {
            live: true,
            ready: true,
            reason: None,
            connection: Connection {
                state: ConnectionState::Online,
                since_ms: 0,
                server: None,
                last_rx_ms: None,
                trouble: None,
                rtt_ms: Some(12),
                clock_offset_ms: Some(0),
                reason: None,
                next_retry_ms: None,
            },
            outbox: OutboxHealth { queued: 3, failed: 1 },
            consumers: vec![Consumer {
                name: "deploy".parse().unwrap(),
                acked_seq: 1,
                lag: 4,
                connected: true,
                seen_ms: 0,
            }],
            store: StoreHealth { bytes: 4096, locked: false, failure: None },
        }
    }

    /// With everything counted once.
    fn text() -> String {
        let metrics = Metrics::new().unwrap();
        metrics.count(Counted::Event("message.new"));
        metrics.count(Counted::Received);
        metrics.committed(3, Duration::from_millis(2), true);
        metrics.called("msg.send", "ok");
        let _open = metrics.subscription();
        drop(metrics.subscription());
        metrics.text(&health(), 17).unwrap()
    }

    #[test]
    fn numbers_are_those_that_were_counted() {
        let text = text();
        for line in [
            "chatd_events_total{type=\"message.new\"} 1",
            "chatd_messages_received_total 1",
            "chatd_messages_sent_total 0",
            "chatd_commit_duration_seconds_bucket{le=\"0.001\"} 0",
            "chatd_commit_duration_seconds_bucket{le=\"0.0025\"} 1",
            "chatd_batch_inputs_sum 3",
            "chatd_calls_total{method=\"msg.send\",outcome=\"ok\"} 1",
            "chatd_subscriptions 1",
            "chatd_newest_seq 17",
            "chatd_outbox_queued 3",
            "chatd_rtt_seconds 0.012",
            "chatd_connection{state=\"online\"} 1",
            "chatd_connection{state=\"offline\"} 0",
            "chatd_consumer_lag{consumer=\"deploy\"} 4",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }

    #[test]
    fn states_have_the_words_of_the_socket() {
        for (state, word) in STATES {
            assert_eq!(serde_json::to_value(state).unwrap(), word);
        }
    }

    #[test]
    fn every_metric_has_a_prefix_and_is_in_the_readme() {
        let (readme, text) = (include_str!("../README.md"), text());
        let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        assert!(names.len() > 18, "{names:?}");
        for name in names {
            assert!(name.starts_with("chatd_"), "{name}");
            assert!(readme.contains(&format!("| `{name}")), "{name} is missing in the README");
        }
    }
}
