//! What the formats with codebooks share.

/// Levels of the 4-bit formats with an uneven scale (IQ4_NL, IQ4_XS).
pub const UNEVEN: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// The shift of IQ1 entries.
pub(crate) const DELTA: f32 = 0.125;

/// The 8 magnitudes of an IQ2 entry.
pub(crate) fn levels2(entry: u16) -> [f32; 8] {
    core::array::from_fn(|i| [8.0, 25.0, 43.0, 0.0][usize::from((entry >> (2 * i)) & 3)])
}

/// The 4 magnitudes of an IQ3 entry.
pub(crate) fn levels4(entry: u16, levels: &[f32; 8]) -> [f32; 4] {
    core::array::from_fn(|i| levels[usize::from((entry >> (4 * i)) & 7)])
}

/// Eight signs from the low 7 bits: the eighth makes the number of minus signs even.
pub(crate) fn even_signs(bits: u32) -> u8 {
    let bits = bits as u8 & 127;
    bits | ((bits.count_ones() as u8 & 1) << 7)
}

/// `scale * magnitude`, negative where bit `i` of `signs` is set.
pub(crate) fn signed(y: &mut [f32], scale: f32, magnitudes: &[f32], signs: u8) {
    for (i, (y, m)) in y.iter_mut().zip(magnitudes).enumerate() {
        let x = scale * m;
        *y = if signs >> i & 1 == 0 { x } else { -x };
    }
}

/// `scale * (level + shift)` for the 8 levels -1, 0, 1 of an IQ1 entry.
pub(crate) fn ternary(y: &mut [f32], scale: f32, entry: u16, shift: f32) {
    for (i, y) in y.iter_mut().enumerate() {
        *y = scale * (f32::from((entry >> (2 * i)) & 3) - 1.0 + shift);
    }
}
