//! Padding: a few fixed sizes, so that what is said in a sentence cannot be told from a receipt.

use super::ContentError;
use crate::limits::{MAX_CONTENT_BYTES, PAD_SIZES, PAD_STEP_BYTES};

/// Largest of the small sizes; the larger ones lie whole steps above it.
const LARGEST_SMALL: usize = {
    let [.., largest] = PAD_SIZES;
    largest
};

/// The padded size of `len` bytes; `None` beyond 64 KiB.
#[must_use]
pub fn padded_len(len: usize) -> Option<usize> {
    // one byte at least marks where the padding begins
    let needed = len.checked_add(1)?;
    let small = PAD_SIZES.into_iter().find(|size| *size >= needed);
    let size = small.unwrap_or(LARGEST_SMALL + needed.saturating_sub(LARGEST_SMALL).next_multiple_of(PAD_STEP_BYTES));
    (size <= MAX_CONTENT_BYTES).then_some(size)
}

/// Appends 0x80 and zeros up to the next of the fixed sizes.
///
/// # Errors
/// [`ContentError::TooLarge`].
pub fn pad(mut bytes: Vec<u8>) -> Result<Vec<u8>, ContentError> {
    let size = padded_len(bytes.len()).ok_or(ContentError::TooLarge)?;
    bytes.push(0x80);
    bytes.resize(size, 0);
    Ok(bytes)
}

/// Takes the padding off.
///
/// # Errors
/// [`ContentError::Malformed`] for a size that is none of the fixed ones, or no 0x80 before the zeros.
pub fn unpad(padded: &[u8]) -> Result<&[u8], ContentError> {
    // a length is one of the sizes if it is the size of what it holds at most
    if padded.len().checked_sub(1).and_then(padded_len) != Some(padded.len()) {
        return Err(ContentError::Malformed);
    }
    let end = padded.iter().rposition(|byte| *byte != 0).ok_or(ContentError::Malformed)?;
    match padded.split_at_checked(end) {
        Some((content, [0x80, ..])) => Ok(content),
        _ => Err(ContentError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_the_fixed_ones() {
        let sizes = [(0, 480), (479, 480), (480, 992), (2015, 2016), (4063, 4064), (4064, 8160), (65_503, 65_504)];
        sizes.into_iter().for_each(|(len, size)| assert_eq!(padded_len(len), Some(size), "{len}"));
        assert_eq!(padded_len(65_504), None);
        assert_eq!(pad(vec![1; 65_504]), Err(ContentError::TooLarge));
    }

    #[test]
    fn atk_53_wrong_padding_is_malformed() {
        let mut no_marker = vec![0; 480];
        no_marker[3] = 0x81;
        for padded in [vec![], vec![0; 480], vec![0x80; 481], vec![0x80; 4096], no_marker, vec![0x80; 69_600]] {
            assert_eq!(unpad(&padded), Err(ContentError::Malformed), "{} bytes", padded.len());
        }
    }

    proptest! {
        #[test]
        fn what_is_padded_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..9000)) {
            let padded = pad(bytes.clone()).unwrap();
            prop_assert_eq!(unpad(&padded), Ok(bytes.as_slice()));
        }

        #[test]
        fn any_bytes_are_unpadded_without_panic(bytes in proptest::collection::vec(any::<u8>(), 480..=480)) {
            let _ = unpad(&bytes);
        }
    }
}
