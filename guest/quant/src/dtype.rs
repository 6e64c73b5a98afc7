//! Facts about every GGML tensor type: number, name, elements and bytes per block.
//!
//! Facts only. Which types can be computed with is the business of [`crate::FORMATS`]; a type that is known here
//! but has no format there can still be named, sized and refused with a precise message.

/// What there is to know about a type.
struct Facts {
    name: &'static str,
    /// Elements per block.
    len: usize,
    /// Bytes per block.
    bytes: usize,
}

/// Makes the enumeration and its facts of one line per type, so that no type can lack them.
macro_rules! types {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $len:literal, $bytes:literal;)*) => {
        /// A GGML tensor element type. The discriminant is the number stored in GGUF files.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(non_camel_case_types, reason = "the names are the file format's")]
        #[repr(u32)]
        #[non_exhaustive]
        pub enum DType {
            $($(#[$doc])* $name = $id,)*
        }

        /// Every type, in the order of their GGML numbers.
        const ALL: &[DType] = &[$(DType::$name),*];

        impl DType {
            const fn facts(self) -> Facts {
                match self {
                    $(DType::$name => Facts { name: stringify!($name), len: $len, bytes: $bytes },)*
                }
            }
        }
    };
}

// Name, GGML number, elements per block, bytes per block.
types! {
    /// IEEE 754 binary32.
    F32 = 0, 1, 4;
    /// IEEE 754 binary16.
    F16 = 1, 1, 2;
    /// 4-bit, 32 per block, scale.
    Q4_0 = 2, 32, 18;
    /// 4-bit, 32 per block, scale and minimum.
    Q4_1 = 3, 32, 20;
    /// 5-bit, 32 per block, scale.
    Q5_0 = 6, 32, 22;
    /// 5-bit, 32 per block, scale and minimum.
    Q5_1 = 7, 32, 24;
    /// 8-bit, 32 per block, scale.
    Q8_0 = 8, 32, 34;
    /// 8-bit, 32 per block, scale and sum.
    Q8_1 = 9, 32, 36;
    /// 2-bit K-quant, 256 per block.
    Q2_K = 10, 256, 84;
    /// 3-bit K-quant, 256 per block.
    Q3_K = 11, 256, 110;
    /// 4-bit K-quant, 256 per block.
    Q4_K = 12, 256, 144;
    /// 5-bit K-quant, 256 per block.
    Q5_K = 13, 256, 176;
    /// 6-bit K-quant, 256 per block.
    Q6_K = 14, 256, 210;
    /// 8-bit K-quant, 256 per block (intermediate results).
    Q8_K = 15, 256, 292;
    /// 2.06-bit codebook quant.
    IQ2_XXS = 16, 256, 66;
    /// 2.31-bit codebook quant.
    IQ2_XS = 17, 256, 74;
    /// 3.06-bit codebook quant.
    IQ3_XXS = 18, 256, 98;
    /// 1.56-bit codebook quant.
    IQ1_S = 19, 256, 50;
    /// 4-bit non-linear quant, 32 per block.
    IQ4_NL = 20, 32, 18;
    /// 3.44-bit codebook quant.
    IQ3_S = 21, 256, 110;
    /// 2.5-bit codebook quant.
    IQ2_S = 22, 256, 82;
    /// 4.25-bit non-linear quant, 256 per block.
    IQ4_XS = 23, 256, 136;
    /// Signed 8-bit integer.
    I8 = 24, 1, 1;
    /// Signed 16-bit integer.
    I16 = 25, 1, 2;
    /// Signed 32-bit integer.
    I32 = 26, 1, 4;
    /// Signed 64-bit integer.
    I64 = 27, 1, 8;
    /// IEEE 754 binary64.
    F64 = 28, 1, 8;
    /// 1.75-bit codebook quant.
    IQ1_M = 29, 256, 56;
    /// bfloat16.
    BF16 = 30, 1, 2;
    /// 1.69-bit ternary quant.
    TQ1_0 = 34, 256, 54;
    /// 2.06-bit ternary quant.
    TQ2_0 = 35, 256, 66;
    /// Microscaling 4-bit float (E2M1 with an E8M0 scale), 32 per block.
    MXFP4 = 39, 32, 17;
}

impl DType {
    /// Every known type, in the order of their GGML numbers.
    pub fn all() -> impl Iterator<Item = DType> {
        ALL.iter().copied()
    }

    /// The type with this GGML number, if it is known.
    pub fn from_ggml_id(id: u32) -> Option<DType> {
        DType::all().find(|d| *d as u32 == id)
    }

    /// The number stored in GGUF files.
    pub fn ggml_id(self) -> u32 {
        self as u32
    }

    /// The type with this name (`Q4_K`), in any case.
    pub fn from_name(name: &str) -> Option<DType> {
        DType::all().find(|d| d.name().eq_ignore_ascii_case(name))
    }

    /// The name used by GGML and its tools: `Q4_K`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Elements per block; 1 for plain types.
    pub fn block_len(self) -> usize {
        self.facts().len
    }

    /// Bytes per block.
    pub fn block_bytes(self) -> usize {
        self.facts().bytes
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
}

impl core::fmt::Display for DType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}
