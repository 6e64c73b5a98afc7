//! Metadata values.

use std::sync::Arc;

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Unsigned, 8 bits.
    U8(u8),
    /// Signed, 8 bits.
    I8(i8),
    /// Unsigned, 16 bits.
    U16(u16),
    /// Signed, 16 bits.
    I16(i16),
    /// Unsigned, 32 bits.
    U32(u32),
    /// Signed, 32 bits.
    I32(i32),
    /// 32-bit float.
    F32(f32),
    /// Boolean.
    Bool(bool),
    /// UTF-8 text.
    String(String),
    /// Text in another encoding, as other programs write it: a string of the format all the same.
    Bytes(Vec<u8>),
    /// Values of one type.
    Array(Array),
    /// Unsigned, 64 bits.
    U64(u64),
    /// Signed, 64 bits.
    I64(i64),
    /// 64-bit float.
    F64(f64),
}

/// An array of values of one type.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "named like the element types of Value")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    String(StringArray),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
    Array(Vec<Array>),
}

/// Strings, packed one behind the other: a vocabulary of 256k tokens is two allocations. Clones share them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StringArray {
    packed: Arc<Packed>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Packed {
    text: String,
    /// End of each string in `text`.
    ends: Vec<usize>,
    /// The first string that was no UTF-8.
    lossy: Option<usize>,
}

impl StringArray {
    /// No strings.
    pub fn new() -> StringArray {
        StringArray::default()
    }

    /// No strings, with room for the ends of `n`.
    pub fn with_capacity(n: usize) -> StringArray {
        let (text, ends) = (String::new(), Vec::with_capacity(n));
        StringArray { packed: Arc::new(Packed { text, ends, lossy: None }) }
    }

    /// Adds a string at the end.
    pub fn push(&mut self, s: &str) {
        let Packed { text, ends, .. } = Arc::make_mut(&mut self.packed);
        text.push_str(s);
        ends.push(text.len());
    }

    /// Adds a string at the end, with U+FFFD where the bytes are no UTF-8.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        if core::str::from_utf8(bytes).is_err() {
            let at = self.len();
            Arc::make_mut(&mut self.packed).lossy.get_or_insert(at);
        }
        self.push(&String::from_utf8_lossy(bytes));
    }

    /// Index of the first string whose bytes were no UTF-8; its text here has U+FFFD in their place.
    pub fn lossy(&self) -> Option<usize> {
        self.packed.lossy
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.packed.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.packed.ends.is_empty()
    }

    /// The string at `i`.
    pub fn get(&self, i: usize) -> Option<&str> {
        let Packed { text, ends, .. } = &*self.packed;
        let end = *ends.get(i)?;
        let start = if i == 0 { 0 } else { ends[i - 1] };
        text.get(start..end)
    }

    /// All strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + '_ {
        (0..self.len()).map(|i| self.get(i).unwrap_or_default())
    }
}

impl<S: AsRef<str>> FromIterator<S> for StringArray {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> StringArray {
        let mut array = StringArray::new();
        strings.into_iter().for_each(|s| array.push(s.as_ref()));
        array
    }
}

/// Runs `$body` with `$v` bound to the elements of any array, whatever their type.
macro_rules! each_array {
    ($array:expr, $v:ident => $body:expr) => {
        match $array {
            Array::U8($v) => $body,
            Array::I8($v) => $body,
            Array::U16($v) => $body,
            Array::I16($v) => $body,
            Array::U32($v) => $body,
            Array::I32($v) => $body,
            Array::F32($v) => $body,
            Array::Bool($v) => $body,
            Array::String($v) => $body,
            Array::U64($v) => $body,
            Array::I64($v) => $body,
            Array::F64($v) => $body,
            Array::Array($v) => $body,
        }
    };
}

impl Array {
    /// Number of elements.
    pub fn len(&self) -> usize {
        each_array!(self, v => v.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name of the element type.
    pub fn element(&self) -> &'static str {
        match self {
            Array::U8(_) => "u8",
            Array::I8(_) => "i8",
            Array::U16(_) => "u16",
            Array::I16(_) => "i16",
            Array::U32(_) => "u32",
            Array::I32(_) => "i32",
            Array::F32(_) => "f32",
            Array::Bool(_) => "bool",
            Array::String(_) => "string",
            Array::U64(_) => "u64",
            Array::I64(_) => "i64",
            Array::F64(_) => "f64",
            Array::Array(_) => "array",
        }
    }

    /// The elements of an array of any integer type, if all of them fit into `T`.
    pub fn integers<T: TryFrom<i128>>(&self) -> Option<Vec<T>> {
        /// Each element by way of the widest type.
        macro_rules! cast {
            ($v:expr) => {
                $v.iter().map(|&x| T::try_from(i128::from(x)).ok()).collect()
            };
        }
        match self {
            Array::U8(v) => cast!(v),
            Array::I8(v) => cast!(v),
            Array::U16(v) => cast!(v),
            Array::I16(v) => cast!(v),
            Array::U32(v) => cast!(v),
            Array::I32(v) => cast!(v),
            Array::U64(v) => cast!(v),
            Array::I64(v) => cast!(v),
            _ => None,
        }
    }

    /// The first elements as text.
    fn first(&self, n: usize) -> Vec<String> {
        match self {
            Array::String(v) => v.iter().take(n).map(|s| format!("{:?}", shorten(s, 24))).collect(),
            Array::U8(v) => v.iter().take(n).map(|x| x.to_string()).collect(),
            Array::I8(v) => v.iter().take(n).map(|x| x.to_string()).collect(),
            Array::U16(v) => v.iter().take(n).map(|x| x.to_string()).collect(),
            Array::I16(v) => v.iter().take(n).map(|x| x.to_string()).collect(),
            Array::U32(v) => v.iter().take(n).map(|x| x.to_string()).collect(),
            Array::I32(v) => v.iter().take(n).map(|x| x.to_string()).collect(),
            Array::F32(v) => v.iter().take(n).map(|x| x.to_string()).collect(),
            Array::Bool(v) => v.iter().take(n).map(|x| x.to_string()).collect(),
            Array::U64(v) => v.iter().take(n).map(|x| x.to_string()).collect(),
            Array::I64(v) => v.iter().take(n).map(|x| x.to_string()).collect(),
            Array::F64(v) => v.iter().take(n).map(|x| x.to_string()).collect(),
            Array::Array(v) => v.iter().take(n).map(|a| format!("{} of {}", a.len(), a.element())).collect(),
        }
    }
}

impl Value {
    /// Name of the type: `u32`, `string`, `array<f32>`.
    pub fn kind(&self) -> String {
        match self {
            Value::U8(_) => "u8".into(),
            Value::I8(_) => "i8".into(),
            Value::U16(_) => "u16".into(),
            Value::I16(_) => "i16".into(),
            Value::U32(_) => "u32".into(),
            Value::I32(_) => "i32".into(),
            Value::F32(_) => "f32".into(),
            Value::Bool(_) => "bool".into(),
            Value::String(_) | Value::Bytes(_) => "string".into(),
            Value::Array(a) => format!("array<{}>", a.element()),
            Value::U64(_) => "u64".into(),
            Value::I64(_) => "i64".into(),
            Value::F64(_) => "f64".into(),
        }
    }

    /// The value as text of about `width` characters; what is left out is said.
    pub fn preview(&self, width: usize) -> String {
        match self {
            Value::String(s) => shorten(s, width),
            Value::Bytes(b) => shorten(&String::from_utf8_lossy(b), width),
            Value::Array(a) => {
                let first = a.first(4).join(", ");
                let more = if a.len() > 4 { ", …" } else { "" };
                format!("[{first}{more}] ({} elements)", a.len())
            }
            Value::F32(x) => x.to_string(),
            Value::F64(x) => x.to_string(),
            Value::Bool(x) => x.to_string(),
            other => other.integer().map_or_else(String::new, |x| x.to_string()),
        }
    }

    /// What is there, for messages: type and value.
    pub(crate) fn describe(&self) -> String {
        let lossy = match self {
            Value::Bytes(_) => ", which is not UTF-8".into(),
            Value::Array(Array::String(a)) => {
                a.lossy().map_or(String::new(), |i| format!(", of which element {i} is not UTF-8"))
            }
            _ => String::new(),
        };
        format!("{} {}{lossy}", self.kind(), self.preview(40))
    }

    /// Any integer type.
    pub fn integer(&self) -> Option<i128> {
        match *self {
            Value::U8(x) => Some(x.into()),
            Value::I8(x) => Some(x.into()),
            Value::U16(x) => Some(x.into()),
            Value::I16(x) => Some(x.into()),
            Value::U32(x) => Some(x.into()),
            Value::I32(x) => Some(x.into()),
            Value::U64(x) => Some(x.into()),
            Value::I64(x) => Some(x.into()),
            _ => None,
        }
    }
}

fn shorten(s: &str, width: usize) -> String {
    match s.char_indices().nth(width) {
        None => s.into(),
        Some((at, _)) => format!("{}… ({} bytes)", &s[..at], s.len()),
    }
}
