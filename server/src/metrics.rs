//! The names under which [`crate::counters`] are read: Prometheus' text format, version 0.0.4.
//!
//! Names are a promise: dashboards and alerts are built on them. Units are part of a name, labels are
//! words of a fixed list, so that nobody can make their number grow.

use std::time::Duration;

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::counters::{Count, Counters, Durations, Kind, Requests, Tally};

/// What is so at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    /// Open connections.
    pub connections: usize,
    /// Open connections that have not logged in.
    pub guests: usize,
    /// Connections that are logged in.
    pub devices: usize,
    /// Password hashes being computed or waiting.
    pub passwords: usize,
    /// Bytes counted for readers.
    pub for_readers: usize,
    /// Bytes of submits and posts that wait for a commit.
    pub for_commits: usize,
    /// Long records being received.
    pub long_records: usize,
    /// Since the epoch, when the process started.
    pub started: Duration,
    /// Since the process started.
    pub uptime: Duration,
    /// Whether the server is ready.
    pub ready: bool,
}

/// All metrics as text.
///
/// # Errors
/// When they cannot be put into words, which would be a defect here.
pub(crate) fn text(counters: &Counters, now: &Moment) -> Result<String, prometheus::Error> {
    let families = [of_now(now), of_connections(counters), of_requests(counters), of_storage(counters)].concat();
    TextEncoder::new().encode_to_string(&families)
}

fn of_now(now: &Moment) -> Vec<MetricFamily> {
    let version = pair("version", env!("CARGO_PKG_VERSION"));
    vec![
        family("build_info", "Always 1; the version is a label.", MetricType::GAUGE, vec![gauge(1.0, vec![version])]),
        level("start_time_seconds", "When the process started, in seconds since 1970.", now.started.as_secs_f64()),
        level("uptime_seconds", "How long the process has run.", now.uptime.as_secs_f64()),
        level(
            "ready",
            "1 while the server accepts connections and its database answers.",
            f64::from(u8::from(now.ready)),
        ),
        level("connections", "Open connections.", float(now.connections as u64)),
        level("guests", "Open connections that have not logged in.", float(now.guests as u64)),
        level("devices_online", "Connections that are logged in.", float(now.devices as u64)),
        level("password_queue", "Password hashes being computed or waiting.", float(now.passwords as u64)),
        family(
            "queued_bytes",
            "Bytes queued for all connections: what readers are sent or owed, and what waits for a commit.",
            MetricType::GAUGE,
            vec![queued("readers", now.for_readers), queued("commits", now.for_commits)],
        ),
        level("long_records", "Long records that are being received.", float(now.long_records as u64)),
    ]
}

fn of_connections(counters: &Counters) -> Vec<MetricFamily> {
    vec![
        total("connections_total", "Connections admitted.", &counters.opened),
        by("connections_closed_total", "Connections that ended, or were refused.", "reason", &counters.closed),
        by("handshakes_failed_total", "Handshakes that did not succeed.", "reason", &counters.handshakes),
    ]
}

fn of_requests(counters: &Counters) -> Vec<MetricFamily> {
    vec![
        total("logins_total", "Logins, those after an enrolment or a reset included.", &counters.logins.done),
        by("logins_refused_total", "Logins, enrolments and resets refused.", "code", &counters.logins.refused),
        outcomes("submits_total", "Submits answered with success; a duplicate was stored before.", &counters.submits),
        by("submits_refused_total", "Submits refused.", "code", &counters.submits.refused),
        outcomes("room_posts_total", "Posts in the room; a duplicate was stored before.", &counters.posts),
        by("room_posts_refused_total", "Posts in the room refused.", "code", &counters.posts.refused),
        total("password_hashes_total", "Password hashes computed.", &counters.hashes),
    ]
}

fn of_storage(counters: &Counters) -> Vec<MetricFamily> {
    vec![
        family(
            "commit_duration_seconds",
            "Group commits of submits, and how long each took.",
            MetricType::HISTOGRAM,
            vec![histogram(&counters.commits)],
        ),
        total("mailbox_pushed_total", "Messages pushed from mailboxes, repetitions included.", &counters.pushed),
        total("mailbox_acked_total", "Messages acknowledged by their device.", &counters.acknowledged),
        by("database_errors_total", "Failures of the database.", "kind", &counters.database),
    ]
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(format!("chat_server_{name}"));
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn level(name: &str, help: &str, value: f64) -> MetricFamily {
    family(name, help, MetricType::GAUGE, vec![gauge(value, Vec::new())])
}

fn total(name: &str, help: &str, count: &Count) -> MetricFamily {
    family(name, help, MetricType::COUNTER, vec![counter(count.get(), Vec::new())])
}

/// One number per kind, those that are 0 included: an alert needs the series before the first failure.
fn by<K: Kind>(name: &str, help: &str, label: &str, tally: &Tally<K>) -> MetricFamily {
    let metrics = tally.all().map(|(kind, count)| counter(count, vec![pair(label, kind.word())])).collect();
    family(name, help, MetricType::COUNTER, metrics)
}

fn outcomes(name: &str, help: &str, requests: &Requests) -> MetricFamily {
    let one = |word: &str, count: &Count| counter(count.get(), vec![pair("outcome", word)]);
    let metrics = vec![one("accepted", &requests.done), one("duplicate", &requests.repeated)];
    family(name, help, MetricType::COUNTER, metrics)
}

fn queued(kind: &str, bytes: usize) -> Metric {
    gauge(float(bytes as u64), vec![pair("for", kind)])
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn gauge(value: f64, labels: Vec<LabelPair>) -> Metric {
    let (mut gauge, mut metric) = (Gauge::default(), Metric::from_label(labels));
    gauge.set_value(value);
    metric.set_gauge(gauge);
    metric
}

fn counter(value: u64, labels: Vec<LabelPair>) -> Metric {
    let (mut counter, mut metric) = (Counter::default(), Metric::from_label(labels));
    counter.set_value(float(value));
    metric.set_counter(counter);
    metric
}

fn histogram(durations: &Durations) -> Metric {
    let (mut histogram, mut metric) = (Histogram::default(), Metric::default());
    // the classes first: what is counted meanwhile is missing in them, never beyond the sum of all
    let buckets = durations.classes().map(|(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound.as_secs_f64());
        bucket.set_cumulative_count(count);
        bucket
    });
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_sum(durations.sum().as_secs_f64());
    histogram.set_sample_count(durations.count());
    metric.set_histogram(histogram);
    metric
}

/// The format knows floating point only; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "the format knows nothing else")]
const fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_prefix_a_help_and_a_type() {
        let text = text(&Counters::default(), &Moment::default()).unwrap();
        let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# HELP ")).collect();
        assert!(names.len() > 15);
        for line in names {
            let (name, help) = line.split_once(' ').unwrap();
            assert!(name.starts_with("chat_server_") && help.ends_with('.'), "{line}");
            assert!(text.contains(&format!("# TYPE {name} ")), "{line}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.starts_with("chat_server_"), "{line}");
        }
    }

    #[test]
    fn every_metric_is_in_the_readme() {
        let (readme, text) = (include_str!("../README.md"), text(&Counters::default(), &Moment::default()).unwrap());
        for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
            assert!(readme.contains(&format!("| `{name}")), "{name}");
        }
    }

    #[test]
    fn numbers_are_those_that_were_counted() {
        let counters = Counters::default();
        counters.commits.took(Duration::from_millis(3));
        counters.submits.refused.one(chat_protocol::message::server::Code::Stale);
        let text = text(&counters, &Moment { connections: 7, ..Moment::default() }).unwrap();
        for line in [
            "chat_server_connections 7",
            "chat_server_submits_refused_total{code=\"stale\"} 1",
            "chat_server_commit_duration_seconds_bucket{le=\"0.0025\"} 0",
            "chat_server_commit_duration_seconds_bucket{le=\"0.005\"} 1",
            "chat_server_commit_duration_seconds_bucket{le=\"+Inf\"} 1",
            "chat_server_commit_duration_seconds_sum 0.003",
            "chat_server_commit_duration_seconds_count 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
