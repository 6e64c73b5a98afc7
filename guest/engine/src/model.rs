//! A loaded model: tokenizer, compiled plan, cache, and the generations in progress.

use crate::host::{File, Host};
use crate::scheduler::Scheduler;
use crate::{Error, LoadOptions, Session};
use chord_gguf::Gguf;
use chord_model::{ModelSpec, Recording};
use chord_ops::{CACHE_PAGE, Device, validate};
use chord_tokenizer::Tokenizer;
use std::cell::RefCell;
use std::rc::Rc;

/// Numbers and words about a loaded model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// `general.architecture`.
    pub architecture: String,
    /// `general.name`.
    pub name: Option<String>,
    /// Elements of all tensors.
    pub parameters: u64,
    /// Bytes of all tensors.
    pub tensor_bytes: u64,
    /// Context length of the training, tokens.
    pub trained_context: u32,
    /// Context size in use, tokens.
    pub context_size: u32,
    /// Number of layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub embedding_length: u32,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Device in use, in words; empty without one.
    pub device: String,
    /// What the file leaves open or says oddly, for people; one sentence each.
    pub warnings: Vec<String>,
}

/// A loaded model. Cloning is cheap; clones are the same model.
pub struct Model<H: Host> {
    pub(crate) shared: Rc<Shared<H>>,
}

impl<H: Host> Clone for Model<H> {
    fn clone(&self) -> Self {
        Model { shared: self.shared.clone() }
    }
}

/// What sessions and generations of a model share.
pub(crate) struct Shared<H: Host> {
    pub(crate) info: ModelInfo,
    pub(crate) tokenizer: Rc<Tokenizer>,
    /// `tokenizer.chat_template`.
    pub(crate) template: Option<String>,
    /// `None` for a vocabulary-only model.
    pub(crate) core: Option<RefCell<Core<H::Device>>>,
}

/// The device side of a model.
pub(crate) struct Core<D: Device> {
    pub(crate) device: D,
    pub(crate) plan: D::Plan,
    pub(crate) cache: D::Cache,
    pub(crate) step_tokens: u32,
    pub(crate) scheduler: Scheduler,
    /// Bound for as long as the plan reads them.
    _tensors: Vec<D::Tensor>,
}

impl<H: Host> Model<H> {
    /// Loads the model file `name`, or a split model by the name of its first file.
    pub fn load(host: &H, name: &str, options: &LoadOptions) -> Result<Model<H>, Error> {
        let gguf = open_gguf(host, name)?;
        chord_model::check_kind(&gguf)?;
        let tokenizer = Rc::new(Tokenizer::from_gguf(&gguf.metadata)?);
        let (info, core) = if options.vocab_only {
            tokenizer.check_text()?;
            (vocabulary_info(&gguf, &tokenizer), None)
        } else {
            let (info, core) = load_weights(host, &gguf, options)?;
            (info, Some(RefCell::new(core)))
        };
        let info = ModelInfo { warnings: tokenizer.warnings(), ..info };
        let template = gguf.metadata.str("tokenizer.chat_template")?.map(Into::into);
        Ok(Model { shared: Rc::new(Shared { info, tokenizer, template, core }) })
    }

    /// Numbers and words.
    pub fn info(&self) -> &ModelInfo {
        &self.shared.info
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.shared.tokenizer
    }

    /// Text to token ids: see [`Tokenizer::encode`].
    pub fn tokenize(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<u32>, Error> {
        self.shared.tokenizer.check_text()?;
        Ok(self.shared.tokenizer.encode(text, add_special, parse_special))
    }

    /// Token ids to bytes. An id outside the vocabulary is an error.
    pub fn detokenize(&self, tokens: &[u32], special: bool) -> Result<Vec<u8>, Error> {
        self.shared.tokenizer.check_text()?;
        check_tokens(tokens, self.shared.info.vocabulary)?;
        Ok(self.shared.tokenizer.decode(tokens, special))
    }

    /// Opens an empty session.
    pub fn open(&self) -> Result<Session<H>, Error> {
        Session::open(self.shared.clone())
    }
}

impl<H: Host> Shared<H> {
    /// The device side, or why there is none.
    pub(crate) fn core(&self) -> Result<&RefCell<Core<H::Device>>, Error> {
        let why = "the model was loaded with vocab-only; load it with its tensors to generate";
        self.core.as_ref().ok_or_else(|| Error::InvalidArgument(why.into()))
    }
}

/// Every id must be in the vocabulary.
pub(crate) fn check_tokens(tokens: &[u32], vocabulary: u32) -> Result<(), Error> {
    match tokens.iter().position(|&t| t >= vocabulary) {
        None => Ok(()),
        Some(i) => Err(Error::InvalidArgument(format!(
            "token id at index {i}: expected below {vocabulary} (the vocabulary), found {}",
            tokens[i]
        ))),
    }
}

/// Reads the directory of a model file and of its split siblings.
pub(crate) fn open_gguf<H: Host>(host: &H, name: &str) -> Result<Gguf, Error> {
    Ok(Gguf::parse_split(name, &mut |n| Ok(Box::new(host.open(n)?)))?)
}

fn vocabulary_info(gguf: &Gguf, tokenizer: &Tokenizer) -> ModelInfo {
    ModelInfo {
        architecture: gguf.metadata.shown("general.architecture").unwrap_or_default().into(),
        name: gguf.metadata.shown("general.name").map(Into::into),
        parameters: parameters(gguf),
        tensor_bytes: gguf.tensors.iter().map(|t| t.bytes).sum(),
        trained_context: 0,
        context_size: 0,
        layers: 0,
        embedding_length: 0,
        vocabulary: tokenizer.vocab_size() as u32,
        device: String::new(),
        warnings: Vec::new(),
    }
}

fn parameters(gguf: &Gguf) -> u64 {
    gguf.tensors.iter().map(|t| t.dims.iter().product::<u64>()).sum()
}

type Loaded<H> = (ModelInfo, Core<<H as Host>::Device>);

fn load_weights<H: Host>(host: &H, gguf: &Gguf, options: &LoadOptions) -> Result<Loaded<H>, Error> {
    let spec = chord_model::spec(gguf)?;
    let (context, sessions) = (options.context(spec.context_length)?, options.sessions()?);
    // Devices may round each session up to whole pages.
    let room = context.checked_next_multiple_of(CACHE_PAGE).and_then(|n| n.checked_mul(sessions));
    let cache_tokens = room.ok_or_else(|| {
        Error::InvalidArgument(format!("context-size {context} * sessions: expected below 2^32"))
    })?;
    let step_tokens = options.step_tokens(context)?;
    let recording = chord_model::record(&spec, gguf, context, cache_tokens, step_tokens)?;
    let device = host.device(options.device.as_deref())?;
    let info = model_info(gguf, &spec, context, device.info().description);
    let core = compile(host, gguf, recording, device, step_tokens)?;
    Ok((info, core))
}

fn model_info(gguf: &Gguf, spec: &ModelSpec, context: u32, device: String) -> ModelInfo {
    ModelInfo {
        architecture: spec.architecture.clone(),
        name: gguf.metadata.shown("general.name").map(Into::into),
        parameters: parameters(gguf),
        tensor_bytes: gguf.tensors.iter().map(|t| t.bytes).sum(),
        trained_context: spec.context_length,
        context_size: context,
        layers: spec.layers.len() as u32,
        embedding_length: spec.embedding_length,
        vocabulary: spec.vocabulary,
        device,
        warnings: Vec::new(),
    }
}

/// Binds the recording's tensors, asks for them to be read ahead in plan order, and compiles the plan.
fn compile<H: Host>(
    host: &H,
    gguf: &Gguf,
    recording: Recording,
    device: H::Device,
    step_tokens: u32,
) -> Result<Core<H::Device>, Error> {
    let files = gguf.files().iter().map(|n| host.open(n)).collect::<Result<Vec<_>, chord_gguf::Error>>()?;
    let mut tensors = Vec::with_capacity(recording.bindings.len());
    for b in &recording.bindings {
        let file = &files[b.file];
        file.prefetch(b.offset, b.bytes);
        tensors.push(device.bind(file.as_ref(), b.offset, &b.decl)?);
    }
    let spec = recording.plan.cache.clone();
    let plan = validate(recording.plan, &Default::default())
        .map_err(|e| Error::Limit(format!("the model's plan is not valid: {e}")))?;
    let plan = device.compile(&plan, &tensors.iter().collect::<Vec<_>>())?;
    let cache = device.new_cache(&spec)?;
    Ok(Core { device, plan, cache, step_tokens, scheduler: Scheduler::default(), _tensors: tensors })
}
