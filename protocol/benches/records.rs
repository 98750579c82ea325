//! What a record of the connection costs either end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark's values are its own")]

use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::limits::MAX_RECORD_BYTES;
use chat_protocol::record::{Opener, Record, Sealer};
use chat_protocol::time::Timestamp;
use divan::Bencher;

/// Bytes of a body: about a message's, and about a full group's.
const SIZES: [usize; 2] = [200, 16 * 1024];
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn main() {
    divan::main();
}

fn sealer() -> Sealer {
    Sealer::new(&SecretBytes::new([7; 32]), NOW)
}

#[divan::bench(args = SIZES)]
fn seal(bencher: Bencher<'_, '_>, bytes: usize) {
    let (mut sealer, record, mut out) = (sealer(), Record::Data(vec![1; bytes]), Vec::new());
    bencher.bench_local(|| {
        out.clear();
        sealer.seal(&record, NOW, &mut out);
    });
}

/// Records have to be opened in the order they were sealed in.
#[divan::bench(args = SIZES)]
fn open(bencher: Bencher<'_, '_>, bytes: usize) {
    let (mut sealer, record) = (sealer(), Record::Data(vec![1; bytes]));
    let mut opener = Opener::new(&SecretBytes::new([7; 32]), MAX_RECORD_BYTES, NOW);
    let sealed = || {
        let mut out = Vec::new();
        sealer.seal(&record, NOW, &mut out);
        out
    };
    bencher.with_inputs(sealed).bench_local_refs(|sealed| {
        opener.feed(sealed);
        opener.next(NOW).expect("the next record")
    });
}
