//! Range-checked metadata of one family: keys are given without the family's prefix.

use crate::{Error, FeedForward, LayerSpec, ModelSpec, NormSpec};
use chord_gguf::{Array, Gguf, Metadata, Value};
use chord_ops::op::{Activation, NormKind, RopeParams, RopeStyle, Route, Yarn};

/// Bounds that no real model reaches; beyond them a file is refused before anything is sized by it.
const MAX_WIDTH: u32 = 1 << 20;
const MAX_LAYERS: u32 = 512;
const MAX_CONTEXT: u32 = 1 << 27;

/// Metadata of one architecture.
pub(crate) struct Keys<'a> {
    gguf: &'a Gguf,
    arch: &'a str,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(gguf: &'a Gguf, arch: &'a str) -> Keys<'a> {
        Keys { gguf, arch }
    }

    pub(crate) fn metadata(&self) -> &'a Metadata {
        &self.gguf.metadata
    }

    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    /// `key` in `1..=max`.
    pub(crate) fn size(&self, key: &str, max: u32) -> Result<u32, Error> {
        let key = self.full(key);
        in_range(&key, self.metadata().require_u32(&key)?, max)
    }

    /// `key` in `1..=max`, if present.
    pub(crate) fn size_or(&self, key: &str, default: u32, max: u32) -> Result<u32, Error> {
        let key = self.full(key);
        in_range(&key, self.metadata().u32(&key)?.unwrap_or(default), max)
    }

    /// An unsigned number, if present.
    pub(crate) fn optional(&self, key: &str) -> Result<Option<u32>, Error> {
        Ok(self.metadata().u32(&self.full(key))?)
    }

    /// A finite float, if present.
    pub(crate) fn float(&self, key: &str) -> Result<Option<f32>, Error> {
        let key = self.full(key);
        match self.metadata().f32(&key)? {
            Some(x) if !x.is_finite() => Err(bad(&key, "a finite number", x)),
            x => Ok(x),
        }
    }

    /// A finite float above 0, or `default`.
    pub(crate) fn positive(&self, key: &str, default: f32) -> Result<f32, Error> {
        match self.float(key)? {
            None => Ok(default),
            Some(x) if x > 0.0 => Ok(x),
            Some(x) => Err(bad(&self.full(key), "a number above 0", x)),
        }
    }

    /// RMS norm with the family's epsilon.
    pub(crate) fn rms_norm(&self) -> Result<NormSpec, Error> {
        let eps = self.positive("attention.layer_norm_rms_epsilon", 1e-5)?;
        Ok(NormSpec { kind: NormKind::Rms, eps })
    }

    /// Rotary embedding of heads of `head_dim`, with linear or YaRN scaling as the metadata says.
    pub(crate) fn rope(&self, head_dim: u32, style: RopeStyle) -> Result<RopeParams, Error> {
        let rot_dims = self.size_or("rope.dimension_count", head_dim, head_dim)?;
        if rot_dims % 2 != 0 {
            return Err(bad(&self.full("rope.dimension_count"), "an even number", rot_dims));
        }
        let base = self.positive("rope.freq_base", 10_000.0)?;
        let mut rope =
            RopeParams { head_dim, rot_dims, style, base, freq_scale: 1.0, factors: None, yarn: None };
        self.scale_rope(&mut rope)?;
        Ok(rope)
    }

    fn scale_rope(&self, rope: &mut RopeParams) -> Result<(), Error> {
        let key = self.full("rope.scaling.type");
        let old = self.positive("rope.scale_linear", 1.0)?;
        let factor = self.positive("rope.scaling.factor", old)?;
        match self.metadata().str(&key)? {
            Some("none") => {}
            // Its factors are tensors.
            Some("longrope") => {}
            None | Some("linear") => rope.freq_scale = 1.0 / factor,
            Some("yarn") => {
                rope.freq_scale = 1.0 / factor;
                rope.yarn = Some(self.yarn()?);
            }
            Some(other) => {
                return Err(Error::Feature { what: "this rope scaling", key, found: other.into() });
            }
        }
        Ok(())
    }

    fn yarn(&self) -> Result<Yarn, Error> {
        let trained = self.size("context_length", MAX_CONTEXT)?;
        Ok(Yarn {
            orig_ctx: self.size_or("rope.scaling.original_context_length", trained, MAX_CONTEXT)?,
            ext_factor: self.positive("rope.scaling.yarn_ext_factor", 1.0)?,
            attn_factor: self.positive("rope.scaling.attn_factor", 1.0)?,
            beta_fast: self.positive("rope.scaling.yarn_beta_fast", 32.0)?,
            beta_slow: self.positive("rope.scaling.yarn_beta_slow", 1.0)?,
        })
    }

    /// The plain pre-norm decoder that most families are: gated SiLU, rotary positions, full attention.
    pub(crate) fn decoder(&self, style: RopeStyle) -> Result<ModelSpec, Error> {
        let d = self.size("embedding_length", MAX_WIDTH)?;
        let n_layers = self.size("block_count", MAX_LAYERS)?;
        let layer = self.layer(d, style)?;
        Ok(ModelSpec {
            architecture: self.arch.into(),
            embedding_length: d,
            vocabulary: self.vocabulary()?,
            context_length: self.size("context_length", MAX_CONTEXT)?,
            embedding_scale: None,
            norm: self.rms_norm()?,
            layers: vec![layer; n_layers as usize],
            logit_scale: None,
            logit_softcap: None,
            short_context: None,
        })
    }

    /// What all Gemma models share. `largest`: layers of the one whose attention scale is that of its width per head.
    pub(crate) fn gemma(&self, spec: &mut ModelSpec, largest: usize) {
        let d = spec.embedding_length;
        spec.embedding_scale = Some((d as f32).sqrt());
        let is_largest = spec.layers.len() == largest;
        for layer in &mut spec.layers {
            let dim = if is_largest { d / layer.n_heads } else { layer.k_dim };
            layer.attention_scale = 1.0 / (dim as f32).sqrt();
            layer.post_norms = true;
            if let FeedForward::Gated { act, .. } = &mut layer.feed_forward {
                *act = Activation::Gelu;
            }
        }
    }

    /// Makes every layer a mixture of experts if the file says how many there are. `width`: key of one's hidden width.
    pub(crate) fn experts(&self, spec: &mut ModelSpec, width: &str) -> Result<(), Error> {
        if self.optional("expert_count")?.unwrap_or(0) == 0 {
            return Ok(());
        }
        let count = self.size("expert_count", Route::MAX_COUNT)?;
        let used = self.size("expert_used_count", count.min(Route::MAX_USED))?;
        let width = self.size(width, MAX_WIDTH)?;
        for layer in &mut spec.layers {
            layer.feed_forward = FeedForward::Experts { width, act: Activation::Silu, count, used };
        }
        Ok(())
    }

    /// Which layers see a sliding window: by list, or all but the last of every `pattern`.
    pub(crate) fn windows(&self, n_layers: usize, pattern: u32) -> Result<Vec<bool>, Error> {
        let key = self.full("attention.sliding_window_pattern");
        match self.metadata().get(&key) {
            Some(Value::Array(Array::Bool(list))) if list.len() >= n_layers => Ok(list[..n_layers].to_vec()),
            Some(Value::Array(_)) => {
                Err(bad(&key, &format!("{n_layers} booleans, or a number"), "another array"))
            }
            _ => {
                let pattern = self.optional("attention.sliding_window_pattern")?.unwrap_or(pattern) as usize;
                Ok((0..n_layers).map(|i| pattern == 0 || i % pattern < pattern - 1).collect())
            }
        }
    }

    fn layer(&self, d: u32, style: RopeStyle) -> Result<LayerSpec, Error> {
        let n_heads = self.size("attention.head_count", MAX_WIDTH)?;
        let n_kv_heads = self.size_or("attention.head_count_kv", n_heads, n_heads)?;
        if n_heads % n_kv_heads != 0 {
            let expected = format!("a divisor of head_count = {n_heads}");
            return Err(bad(&self.full("attention.head_count_kv"), &expected, n_kv_heads));
        }
        let default = (d / n_heads).max(1);
        let k_dim = self.size_or("attention.key_length", default, 4096)?;
        let v_dim = self.size_or("attention.value_length", default, 4096)?;
        Ok(LayerSpec {
            n_heads,
            n_kv_heads,
            k_dim,
            v_dim,
            rope: Some(self.rope(k_dim, style)?),
            attention_scale: 1.0 / (k_dim as f32).sqrt(),
            window: None,
            attention_softcap: None,
            qk_norm: false,
            post_norms: false,
            feed_forward: FeedForward::Gated {
                width: self.size("feed_forward_length", MAX_WIDTH)?,
                act: Activation::Silu,
            },
        })
    }

    /// Rows of the embedding table.
    fn vocabulary(&self) -> Result<u32, Error> {
        let name = "token_embd.weight";
        let info = self.gguf.tensor(name).ok_or_else(|| Error::MissingTensor(name.into()))?;
        let rows = info.dims.get(1).copied().unwrap_or(1);
        let tokens = self.metadata().strings("tokenizer.ggml.tokens")?.map(|t| t.len() as u64);
        if let Some(tokens) = tokens
            && tokens != rows
        {
            let expected = format!("[_, {tokens}] (tokenizer.ggml.tokens has {tokens} entries)");
            return Err(Error::Shape { name: name.into(), expected, found: format!("{:?}", info.dims) });
        }
        u32::try_from(rows).map_err(|_| Error::Shape {
            name: name.into(),
            expected: "fewer than 2^32 rows".into(),
            found: format!("{:?}", info.dims),
        })
    }
}

fn in_range(key: &str, n: u32, max: u32) -> Result<u32, Error> {
    if (1..=max).contains(&n) { Ok(n) } else { Err(bad(key, &format!("1 to {max}"), n)) }
}

fn bad(key: &str, expected: &str, found: impl core::fmt::Display) -> Error {
    Error::Value { key: key.into(), expected: expected.into(), found: found.to_string() }
}
