//! What this machine's disk takes for the unit in which durable latencies are counted.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Fallible;
use crate::histogram::Histogram;

/// Appends and syncs, one after another, for so long.
pub(crate) fn run(directory: &Path, bytes: usize, seconds: f64) -> Fallible<Value> {
    let path = directory.join("fsync.bin");
    let mut file = File::create(&path)?;
    let piece = vec![1_u8; bytes];
    let (mut taken, began, mut count) = (Histogram::new(), Instant::now(), 0_u64);
    while began.elapsed() < Duration::from_secs_f64(seconds) {
        let at = Instant::now();
        file.write_all(&piece)?;
        file.sync_data()?;
        taken.add(at.elapsed().as_nanos() as u64);
        count += 1;
    }
    fs::remove_file(path)?;
    let per_second = count as f64 / began.elapsed().as_secs_f64();
    Ok(json!({"p50_us": taken.microseconds(0.5), "p99_us": taken.microseconds(0.99), "per_second": per_second}))
}
