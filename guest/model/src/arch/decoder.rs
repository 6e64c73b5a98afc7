//! The plain pre-norm decoder that most families are, layer by layer, and what several of them share.

use super::keys::{Keys, MAX_CONTEXT, MAX_LAYERS, MAX_WIDTH, bad};
use crate::{Error, FeedForward, LayerSpec, ModelSpec};
use chord_ops::op::{Activation, RopeStyle, Route};

impl Keys<'_> {
    /// Gated SiLU, rotary positions, full attention. `experts`: the key of one expert's hidden width, in families that
    /// can be mixtures.
    pub(crate) fn decoder(&self, style: RopeStyle, experts: Option<&str>) -> Result<ModelSpec, Error> {
        self.check_causal()?;
        let d = self.size("embedding_length", MAX_WIDTH)?;
        let n_layers = self.size("block_count", MAX_LAYERS)? as usize;
        Ok(ModelSpec {
            architecture: self.arch.into(),
            embedding_length: d,
            vocabulary: self.vocabulary()?,
            context_length: self.size("context_length", MAX_CONTEXT)?,
            embedding_scale: None,
            norm: self.rms_norm()?,
            layers: self.layers(d, n_layers, style, experts)?,
            plain_feed_forward: true,
            logit_scale: None,
            logit_softcap: None,
            short_context: self.short_context()?,
        })
    }

    fn layers(
        &self,
        d: u32,
        n: usize,
        style: RopeStyle,
        experts: Option<&str>,
    ) -> Result<Vec<LayerSpec>, Error> {
        let heads = self.require_each("attention.head_count", n, MAX_WIDTH)?;
        let kv_heads = self.each("attention.head_count_kv", n, MAX_WIDTH)?.unwrap_or_else(|| heads.clone());
        let default = (d / heads[0]).max(1);
        let k_dim = self.size_or("attention.key_length", default, 4096)?;
        let v_dim = self.size_or("attention.value_length", default, 4096)?;
        let (rope, feed_forward) = (self.rope(k_dim, style)?, self.feed_forward(n, experts)?);
        let layer = |((&n_heads, &n_kv_heads), feed_forward): ((&u32, &u32), FeedForward)| {
            if n_heads % n_kv_heads != 0 {
                let expected = format!("a divisor of head_count = {n_heads}");
                return Err(bad(&self.full("attention.head_count_kv"), &expected, n_kv_heads));
            }
            Ok(LayerSpec {
                n_heads,
                n_kv_heads,
                k_dim,
                v_dim,
                rope: Some(rope),
                attention_scale: 1.0 / (k_dim as f32).sqrt(),
                window: None,
                attention_softcap: None,
                qk_norm: false,
                post_norms: false,
                feed_forward,
            })
        };
        heads.iter().zip(&kv_heads).zip(feed_forward).map(layer).collect()
    }

    /// The feed-forward half of each layer: experts if the family can have them and the file says how many.
    fn feed_forward(&self, n: usize, experts: Option<&str>) -> Result<Vec<FeedForward>, Error> {
        let (all, act) = ("feed_forward_length", Activation::Silu);
        let (Some(key), Some(count)) = (experts, self.used("expert_count", Route::MAX_COUNT)?) else {
            let widths = self.require_each(all, n, MAX_WIDTH)?;
            return Ok(widths.into_iter().map(|width| FeedForward::Gated { width, act }).collect());
        };
        let used = self.require_each("expert_used_count", n, count.min(Route::MAX_USED))?;
        let own = self.present(key).map(|key| self.metadata().u32_each(&key, n)).transpose()?.flatten();
        let own = own.filter(|widths| widths.iter().any(|&w| w > 0));
        let widths = match own {
            Some(_) => self.require_each(key, n, MAX_WIDTH)?,
            // llama.cpp: where experts have no width, those that a token meets share the layer's.
            None => {
                let whole = self.require_each(all, n, MAX_WIDTH)?;
                whole.iter().zip(&used).map(|(w, used)| w / used).collect()
            }
        };
        let layer = |(width, used)| FeedForward::Experts { width, act, count, used };
        Ok(widths.into_iter().zip(used).map(layer).collect())
    }

    /// What all Gemma models share. `largest`: layers of the one whose attention scale is that of its width per head.
    pub(crate) fn gemma(&self, spec: &mut ModelSpec, largest: usize) {
        let d = spec.embedding_length;
        spec.embedding_scale = Some((d as f32).sqrt());
        let (is_largest, n_heads) = (spec.layers.len() == largest, spec.layers[0].n_heads);
        for layer in &mut spec.layers {
            let dim = if is_largest { d / n_heads } else { layer.k_dim };
            layer.attention_scale = 1.0 / (dim as f32).sqrt();
            layer.post_norms = true;
            if let FeedForward::Gated { act, .. } = &mut layer.feed_forward {
                *act = Activation::Gelu;
            }
        }
    }

    /// Models that embed texts look at later tokens, too.
    fn check_causal(&self) -> Result<(), Error> {
        let key = self.full("attention.causal");
        match self.metadata().bool(&key)? {
            Some(false) => {
                Err(Error::Feature { what: "attention to later tokens", key, found: "false".into() })
            }
            _ => Ok(()),
        }
    }

    /// Tokens of the vocabulary. The embedding table may have more rows, which stand for nothing.
    fn vocabulary(&self) -> Result<u32, Error> {
        let name = "token_embd.weight";
        let info = self.gguf.tensor(name).ok_or_else(|| Error::MissingTensor(name.into()))?;
        let rows = info.dims.get(1).copied().unwrap_or(1);
        let listed = self.metadata().strings("tokenizer.ggml.tokens")?.map(|t| t.len() as u64);
        let counted = || Ok::<_, Error>(self.used("vocab_size", u32::MAX)?.map(u64::from));
        let (tokens, said_by) = match listed {
            Some(n) => (n, "tokenizer.ggml.tokens has that many entries".into()),
            None => (counted()?.unwrap_or(rows), format!("{} says so", self.full("vocab_size"))),
        };
        let shape =
            |expected| Error::Shape { name: name.into(), expected, found: format!("{:?}", info.dims) };
        if tokens > rows {
            return Err(shape(format!("[_, {tokens}] or more rows ({said_by})")));
        }
        u32::try_from(tokens).map_err(|_| shape("fewer than 2^32 rows".into()))
    }
}
