//! Facts about every GGML tensor type: number, name, elements and bytes per block.
//!
//! Facts only. Which types can be computed with is the business of [`crate::FORMATS`]; a type that is known here
//! but has no format there can still be named, sized and refused with a precise message.

/// A GGML tensor element type. The discriminant is the number stored in GGUF files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(non_camel_case_types, reason = "the names are the file format's")]
#[repr(u32)]
#[non_exhaustive]
pub enum DType {
    /// IEEE 754 binary32.
    F32 = 0,
    /// IEEE 754 binary16.
    F16 = 1,
    /// 4-bit, 32 per block, scale.
    Q4_0 = 2,
    /// 4-bit, 32 per block, scale and minimum.
    Q4_1 = 3,
    /// 5-bit, 32 per block, scale.
    Q5_0 = 6,
    /// 5-bit, 32 per block, scale and minimum.
    Q5_1 = 7,
    /// 8-bit, 32 per block, scale.
    Q8_0 = 8,
    /// 8-bit, 32 per block, scale and sum.
    Q8_1 = 9,
    /// 2-bit K-quant, 256 per block.
    Q2_K = 10,
    /// 3-bit K-quant, 256 per block.
    Q3_K = 11,
    /// 4-bit K-quant, 256 per block.
    Q4_K = 12,
    /// 5-bit K-quant, 256 per block.
    Q5_K = 13,
    /// 6-bit K-quant, 256 per block.
    Q6_K = 14,
    /// 8-bit K-quant, 256 per block (intermediate results).
    Q8_K = 15,
    /// 2.06-bit codebook quant.
    IQ2_XXS = 16,
    /// 2.31-bit codebook quant.
    IQ2_XS = 17,
    /// 3.06-bit codebook quant.
    IQ3_XXS = 18,
    /// 1.56-bit codebook quant.
    IQ1_S = 19,
    /// 4-bit non-linear quant, 32 per block.
    IQ4_NL = 20,
    /// 3.44-bit codebook quant.
    IQ3_S = 21,
    /// 2.5-bit codebook quant.
    IQ2_S = 22,
    /// 4.25-bit non-linear quant, 256 per block.
    IQ4_XS = 23,
    /// Signed 8-bit integer.
    I8 = 24,
    /// Signed 16-bit integer.
    I16 = 25,
    /// Signed 32-bit integer.
    I32 = 26,
    /// Signed 64-bit integer.
    I64 = 27,
    /// IEEE 754 binary64.
    F64 = 28,
    /// 1.75-bit codebook quant.
    IQ1_M = 29,
    /// bfloat16.
    BF16 = 30,
    /// 1.69-bit ternary quant.
    TQ1_0 = 34,
    /// 2.06-bit ternary quant.
    TQ2_0 = 35,
    /// Microscaling 4-bit float (E2M1 with an E8M0 scale), 32 per block.
    MXFP4 = 39,
}

/// Every type with its name, elements per block and bytes per block. Order: the GGML number.
const FACTS: &[(DType, &str, usize, usize)] = &[
    (DType::F32, "F32", 1, 4),
    (DType::F16, "F16", 1, 2),
    (DType::Q4_0, "Q4_0", 32, 18),
    (DType::Q4_1, "Q4_1", 32, 20),
    (DType::Q5_0, "Q5_0", 32, 22),
    (DType::Q5_1, "Q5_1", 32, 24),
    (DType::Q8_0, "Q8_0", 32, 34),
    (DType::Q8_1, "Q8_1", 32, 36),
    (DType::Q2_K, "Q2_K", 256, 84),
    (DType::Q3_K, "Q3_K", 256, 110),
    (DType::Q4_K, "Q4_K", 256, 144),
    (DType::Q5_K, "Q5_K", 256, 176),
    (DType::Q6_K, "Q6_K", 256, 210),
    (DType::Q8_K, "Q8_K", 256, 292),
    (DType::IQ2_XXS, "IQ2_XXS", 256, 66),
    (DType::IQ2_XS, "IQ2_XS", 256, 74),
    (DType::IQ3_XXS, "IQ3_XXS", 256, 98),
    (DType::IQ1_S, "IQ1_S", 256, 50),
    (DType::IQ4_NL, "IQ4_NL", 32, 18),
    (DType::IQ3_S, "IQ3_S", 256, 110),
    (DType::IQ2_S, "IQ2_S", 256, 82),
    (DType::IQ4_XS, "IQ4_XS", 256, 136),
    (DType::I8, "I8", 1, 1),
    (DType::I16, "I16", 1, 2),
    (DType::I32, "I32", 1, 4),
    (DType::I64, "I64", 1, 8),
    (DType::F64, "F64", 1, 8),
    (DType::IQ1_M, "IQ1_M", 256, 56),
    (DType::BF16, "BF16", 1, 2),
    (DType::TQ1_0, "TQ1_0", 256, 54),
    (DType::TQ2_0, "TQ2_0", 256, 66),
    (DType::MXFP4, "MXFP4", 32, 17),
];

impl DType {
    /// Every known type, in the order of their GGML numbers.
    pub fn all() -> impl Iterator<Item = DType> {
        FACTS.iter().map(|f| f.0)
    }

    /// The type with this GGML number, if it is known.
    pub fn from_ggml_id(id: u32) -> Option<DType> {
        FACTS.iter().find(|f| f.0 as u32 == id).map(|f| f.0)
    }

    /// The number stored in GGUF files.
    pub fn ggml_id(self) -> u32 {
        self as u32
    }

    /// The type with this name (`Q4_K`), in any case.
    pub fn from_name(name: &str) -> Option<DType> {
        FACTS.iter().find(|f| f.1.eq_ignore_ascii_case(name)).map(|f| f.0)
    }

    /// The name used by GGML and its tools: `Q4_K`.
    pub fn name(self) -> &'static str {
        self.facts().1
    }

    /// Elements per block; 1 for plain types.
    pub fn block_len(self) -> usize {
        self.facts().2
    }

    /// Bytes per block.
    pub fn block_bytes(self) -> usize {
        self.facts().3
    }

    /// Whether elements are stored in blocks that share scales.
    pub fn is_quantised(self) -> bool {
        self.block_len() > 1
    }

    /// Bytes of `elements` consecutive elements. `None` if they do not fill whole blocks or the size overflows.
    pub fn bytes_for(self, elements: u64) -> Option<u64> {
        let (len, bytes) = (self.block_len() as u64, self.block_bytes() as u64);
        elements.is_multiple_of(len).then(|| (elements / len).checked_mul(bytes)).flatten()
    }

    fn facts(self) -> &'static (DType, &'static str, usize, usize) {
        // FACTS has every variant: checked by the test `every_type_has_facts`.
        FACTS.iter().find(|f| f.0 == self).expect("every DType has a row in FACTS")
    }
}

impl core::fmt::Display for DType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}
