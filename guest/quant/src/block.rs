//! What block formats share.

use half::f16;

/// Calls `decode` for each whole block of `B` bytes and its `L` elements.
pub(crate) fn blocks<const B: usize, const L: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; B], &mut [f32; L]),
) {
    debug_assert_eq!(bytes.len() / B, out.len() / L);
    let (blocks, elements) = (bytes.as_chunks::<B>().0, out.as_chunks_mut::<L>().0);
    blocks.iter().zip(elements).for_each(|(b, y)| decode(b, y));
}

/// The f16 at byte `at` as f32.
pub(crate) fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Scale and minimum `j` of 8, 6 bits each, in the 12 bytes of a Q4_K or Q5_K block.
pub(crate) fn scale_min(packed: &[u8], j: usize) -> (u8, u8) {
    if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        let scale = (packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4);
        (scale, (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4))
    }
}
