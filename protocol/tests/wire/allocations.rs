//! What a record allocates at either end, so that no copy creeps in.

use allocation_counter::measure;
use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::limits::MAX_RECORD_BYTES;
use chat_protocol::record::{Opener, Record, Sealer};

use super::connection::*;

/// To seal one and to open one, whatever its size: nearly all of it is the `fernet` crate's.
const MOST: [u64; 2] = [7, 7];

#[test]
fn a_warm_record_allocates_no_more_than_it_did() {
    let key = SecretBytes::new([7; 32]);
    let (mut sealer, mut opener) = (Sealer::new(&key, NOW), Opener::new(&key, MAX_RECORD_BYTES, NOW));
    for bytes in [200, 16 * 1024] {
        let (record, mut sealed, mut found) = (Record::Data(vec![1; bytes]), Vec::new(), [0; 2]);
        // the first makes room in the buffers
        for _ in 0..2 {
            sealed.clear();
            let sealing = measure(|| sealer.seal(&record, NOW, &mut sealed));
            let opening = measure(|| {
                opener.feed(&sealed);
                assert!(matches!(opener.next(NOW), Ok(Some(Record::Data(body))) if body.len() == bytes));
            });
            found = [sealing.count_total, opening.count_total];
        }
        let within = found.iter().zip(&MOST).all(|(found, most)| found <= most);
        assert!(within, "{found:?} allocations to seal and open {bytes} bytes, {MOST:?} were reached");
    }
}
