//! What block formats share.

use alloc::vec::Vec;
use half::f16;

/// Calls `decode` for each whole block of `B` bytes and its `L` elements.
pub(crate) fn blocks<const B: usize, const L: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; B], &mut [f32; L]),
) {
    debug_assert!(bytes.len().is_multiple_of(B), "{} bytes are not whole blocks of {B}", bytes.len());
    debug_assert_eq!(bytes.len() / B * L, out.len(), "elements of {} bytes", bytes.len());
    let (blocks, elements) = (bytes.as_chunks::<B>().0, out.as_chunks_mut::<L>().0);
    blocks.iter().zip(elements).for_each(|(b, y)| decode(b, y));
}

/// Calls `encode` for each whole block of `L` elements; it appends the block's bytes.
pub(crate) fn encode<const L: usize>(x: &[f32], out: &mut Vec<u8>, encode: impl Fn(&[f32; L], &mut Vec<u8>)) {
    debug_assert!(x.len().is_multiple_of(L), "{} elements are not whole blocks of {L}", x.len());
    x.as_chunks::<L>().0.iter().for_each(|x| encode(x, out));
}

/// The element of largest magnitude, the first of several; 0 if none is above 0.
pub(crate) fn largest(x: &[f32]) -> f32 {
    x.iter().fold(0.0f32, |m, &v| if v.abs() > m.abs() { v } else { m })
}

/// Smallest and largest element; NaN counts only if it comes first.
pub(crate) fn range(x: &[f32; 32]) -> (f32, f32) {
    x.iter()
        .fold((x[0], x[0]), |(min, max), &v| (if v < min { v } else { min }, if v > max { v } else { max }))
}

/// Bit 4 of level `i` as bit `i`.
pub(crate) fn fifth_bits(levels: &[u8; 32]) -> u32 {
    (0..32).fold(0, |bits, i| bits | (u32::from(levels[i] >> 4 & 1) << i))
}

/// `1 / d`, or 0 for 0.
pub(crate) fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

/// To the nearest integer, halves away from zero, without std. Adding 0.5 would round 0.49999997 up.
pub(crate) fn round(x: f32) -> i32 {
    let whole = x as i32;
    let rest = x - whole as f32;
    whole.saturating_add(i32::from(rest >= 0.5)).saturating_sub(i32::from(rest <= -0.5))
}

/// The f16 at byte `at` as f32.
pub(crate) fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// The little-endian u16 at byte `at`.
pub(crate) fn short_at(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([block[at], block[at + 1]])
}

/// The little-endian u32 at byte `at`.
pub(crate) fn word_at(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

/// Nibble `i`, low ones first.
pub(crate) fn nibble(bytes: &[u8], i: usize) -> u8 {
    (bytes[i / 2] >> (4 * (i % 2))) & 15
}

/// Packs 8 scales and minima of 6 bits into the 12 bytes that [`scale_min`] reads.
pub(crate) fn pack_scale_mins(scales: &[u8; 8], mins: &[u8; 8]) -> [u8; 12] {
    let mut packed = [0; 12];
    for j in 0..4 {
        packed[j] = scales[j] | (scales[j + 4] >> 4) << 6;
        packed[j + 4] = mins[j] | (mins[j + 4] >> 4) << 6;
        packed[j + 8] = (scales[j + 4] & 15) | (mins[j + 4] & 15) << 4;
    }
    packed
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
