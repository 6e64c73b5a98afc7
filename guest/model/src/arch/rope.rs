//! Rotary positions: base, scaling and factors as the metadata say.

use super::keys::{Keys, MAX_CONTEXT, bad};
use crate::Error;
use chord_ops::op::{RopeParams, RopeStyle, Yarn};

const TYPE: &str = "rope.scaling.type";

impl Keys<'_> {
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
        let longer = self.positive("rope.scaling.attn_factor", 1.0)?;
        // Without interpolation, only longer vectors.
        rope.yarn = if longer == 1.0 { None } else { Some(self.yarn(0.0, longer)?) };
        match self.scaling()? {
            Some("none") => {}
            None | Some("linear" | "longrope") => rope.freq_scale = self.freq_scale()?,
            Some("yarn") => {
                rope.freq_scale = self.freq_scale()?;
                // A negative factor is one that was not set.
                let mix = self.float("rope.scaling.yarn_ext_factor")?.filter(|&x| x >= 0.0).unwrap_or(1.0);
                rope.yarn = Some(self.yarn(mix, longer)?);
            }
            Some(other) => {
                let (what, key) = ("this rope scaling", self.full(TYPE));
                return Err(Error::Feature { what, key, found: other.into() });
            }
        }
        Ok(())
    }

    fn scaling(&self) -> Result<Option<&str>, Error> {
        Ok(self.metadata().str(&self.full(TYPE))?)
    }

    /// One over the factor, whose old name counts if there is no new one; 0 is no scaling.
    fn freq_scale(&self) -> Result<f32, Error> {
        let new = "rope.scaling.factor";
        let key = if self.present(new).is_some() { new } else { "rope.scale_linear" };
        Ok(1.0 / self.unless_zero(key, 1.0)?.unwrap_or(1.0))
    }

    fn yarn(&self, ext_factor: f32, attn_factor: f32) -> Result<Yarn, Error> {
        Ok(Yarn {
            orig_ctx: self.original_context()?,
            ext_factor,
            attn_factor,
            beta_fast: self.positive("rope.scaling.yarn_beta_fast", 32.0)?,
            beta_slow: self.positive("rope.scaling.yarn_beta_slow", 1.0)?,
        })
    }

    /// Tokens that the model was trained for before its context was extended.
    pub(crate) fn original_context(&self) -> Result<u32, Error> {
        match self.used("rope.scaling.original_context_length", MAX_CONTEXT)? {
            Some(n) => Ok(n),
            None => self.size("context_length", MAX_CONTEXT),
        }
    }

    /// The context up to which short rotary factors count, where the scaling has short and long ones.
    pub(crate) fn short_context(&self) -> Result<Option<u32>, Error> {
        match self.scaling()? {
            Some("longrope") => self.original_context().map(Some),
            _ => Ok(None),
        }
    }
}

/// The rotation of layers whose window keeps them within the original context: `base` is theirs, and nothing is scaled.
pub(super) fn unscaled(rope: RopeParams, base: f32) -> RopeParams {
    let longer = rope.yarn.filter(|yarn| yarn.attn_factor != 1.0);
    let yarn = longer.map(|yarn| Yarn { ext_factor: 0.0, ..yarn });
    RopeParams { base, freq_scale: 1.0, yarn, ..rope }
}
