//! One sandboxed engine: calls in, with a deadline, a canceller, and handles that belong to it.

use crate::Error;
use crate::cancel::Canceller;
use crate::error::one_line;
use crate::state::State;
use crate::stats::{HASH_OF_NOTHING, PlanText, Stats};
use crate::watchdog::Watchdog;
use chord_cpu::OpProfile;
use chord_wit::generated::{Engine, EnginePre};
use chord_wit::inference as w;
use std::time::Instant;
use wasmtime::component::{InstancePre, ResourceAny};
use wasmtime::{Store, UpdateDeadline};

/// A model loaded by an [`Instance`]; freed by [`Instance::close_model`] or with the instance.
#[derive(Clone, Copy, Debug)]
pub struct Model(ResourceAny);

/// A session of an [`Instance`]; freed by [`Instance::close_session`] or with the instance.
#[derive(Clone, Copy, Debug)]
pub struct Session(ResourceAny);

/// A generation of an [`Instance`]; ended by [`Instance::close_generation`] or with the instance.
#[derive(Clone, Copy, Debug)]
pub struct Generation(ResourceAny);

/// One engine in its sandbox. After a trap every call fails with [`Error::Poisoned`].
pub struct Instance {
    store: Store<State>,
    engine: Engine,
    canceller: Canceller,
    watchdog: Watchdog,
    poisoned: bool,
}

/// The result of a contract function inside the result of the call.
type Called<T> = wasmtime::Result<Result<T, w::Error>>;

impl Instance {
    pub(crate) fn start(
        mut store: Store<State>,
        pre: &InstancePre<State>,
        canceller: Canceller,
    ) -> Result<Instance, Error> {
        store.epoch_deadline_callback(on_epoch);
        let pre = EnginePre::new(pre.clone()).map_err(|e| Error::Component(one_line(&e)))?;
        let watchdog = Watchdog::start(canceller.clone())
            .map_err(|e| Error::System(format!("no thread can be started that ends late calls: {e}")))?;
        // Code of the engine runs here as well.
        let deadline = begin(&mut store);
        let watch = watchdog.watch(deadline);
        let result = pre.instantiate(&mut store);
        drop(watch);
        canceller.end(result.is_err());
        match result {
            Ok(engine) => Ok(Instance { store, engine, canceller, watchdog, poisoned: false }),
            Err(e) => Err(stopped(&store, &e, deadline).unwrap_or_else(|| Error::of_start(&e))),
        }
    }

    /// Stops calls of this instance from other threads.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Counters so far.
    pub fn stats(&self) -> Stats {
        let state = self.store.data();
        Stats {
            guest_memory_peak: state.limiter.peak,
            kv_bytes: state.bounds.kv.used() as u64,
            device_bytes: state.bounds.memory.used() as u64,
            ..state.stats
        }
    }

    /// Sets the counters of steps, tokens, time and the hash back to zero, and those of ops.
    pub fn reset_stats(&mut self) {
        self.reset_profile();
        let stats = &mut self.store.data_mut().stats;
        let logits_hash = stats.logits_hash.map(|_| HASH_OF_NOTHING);
        *stats = Stats { tensor_bytes: stats.tensor_bytes, logits_hash, ..Stats::default() };
    }

    /// What each op of each compiled plan has done since the last reset, plans in the order of their handles. Empty
    /// unless the runtime was built with [`crate::Builder::profile_ops`].
    pub fn profile(&mut self) -> Vec<Vec<OpProfile>> {
        self.store.data_mut().plans_mut().map(|plan| plan.profile()).filter(|ops| !ops.is_empty()).collect()
    }

    /// Sets the counters of ops back to zero, and no others.
    pub fn reset_profile(&mut self) {
        self.store.data_mut().plans_mut().for_each(chord_cpu::Compiled::reset_profile);
    }

    /// Texts of the plans compiled so far, if the runtime keeps them.
    pub fn plans(&self) -> &[PlanText] {
        self.store.data().plans.as_ref().map_or(&[], |plans| &plans.texts)
    }

    /// Reads the directory of the model file.
    pub fn inspect(&mut self) -> Result<w::Report, Error> {
        let name = self.store.data().weights.name().to_owned();
        self.call(|engine, store| engine.wasm_chord_inference_inference().call_inspect(store, &name))
    }

    /// Loads the model file.
    pub fn load(&mut self, options: &w::LoadOptions) -> Result<Model, Error> {
        let name = self.store.data().weights.name().to_owned();
        let call = |engine: &Engine, store: &mut Store<State>| {
            engine.wasm_chord_inference_inference().model().call_load(store, &name, options)
        };
        self.call(call).map(Model)
    }

    /// Numbers and words about a model.
    pub fn info(&mut self, model: &Model) -> Result<w::ModelInfo, Error> {
        self.call(|engine, store| {
            engine.wasm_chord_inference_inference().model().call_info(store, model.0).map(Ok)
        })
    }

    /// Text to token ids.
    pub fn tokenize(
        &mut self,
        model: &Model,
        text: &str,
        add_special: bool,
        parse_special: bool,
    ) -> Result<Vec<u32>, Error> {
        self.call(|engine, store| {
            let guest = engine.wasm_chord_inference_inference();
            guest.model().call_tokenize(store, model.0, text, add_special, parse_special)
        })
    }

    /// Token ids to bytes.
    pub fn detokenize(&mut self, model: &Model, tokens: &[u32], special: bool) -> Result<Vec<u8>, Error> {
        self.call(|engine, store| {
            engine.wasm_chord_inference_inference().model().call_detokenize(store, model.0, tokens, special)
        })
    }

    /// The prompt for messages, by the model's chat template. What is spelled like a control token in a message stays text.
    pub fn chat_prompt(
        &mut self,
        model: &Model,
        messages: &[w::Message],
        options: &w::ChatOptions,
    ) -> Result<Vec<u32>, Error> {
        self.call(|engine, store| {
            engine
                .wasm_chord_inference_inference()
                .model()
                .call_chat_prompt(store, model.0, messages, options)
        })
    }

    /// Opens an empty session.
    pub fn open(&mut self, model: &Model) -> Result<Session, Error> {
        self.call(|engine, store| engine.wasm_chord_inference_inference().model().call_open(store, model.0))
            .map(Session)
    }

    /// Tokens that a session has read.
    pub fn length(&mut self, session: &Session) -> Result<u32, Error> {
        self.call(|engine, store| {
            engine.wasm_chord_inference_inference().session().call_length(store, session.0).map(Ok)
        })
    }

    /// Reads tokens without generating.
    pub fn append(&mut self, session: &Session, tokens: &[u32]) -> Result<(), Error> {
        self.call(|engine, store| {
            engine.wasm_chord_inference_inference().session().call_append(store, session.0, tokens)
        })
    }

    /// Reads tokens and returns the logits of the wanted ones, `(wanted, vocabulary)`.
    pub fn evaluate(&mut self, session: &Session, tokens: &[u32], wanted: &[u32]) -> Result<Vec<f32>, Error> {
        self.call(|engine, store| {
            let guest = engine.wasm_chord_inference_inference();
            guest.session().call_evaluate(store, session.0, tokens, wanted)
        })
    }

    /// A new session that has read the first `length` tokens of this one.
    pub fn fork(&mut self, session: &Session, length: u32) -> Result<Session, Error> {
        self.call(|engine, store| {
            engine.wasm_chord_inference_inference().session().call_fork(store, session.0, length)
        })
        .map(Session)
    }

    /// Forgets all but the first `length` tokens.
    pub fn truncate(&mut self, session: &Session, length: u32) -> Result<(), Error> {
        self.call(|engine, store| {
            engine.wasm_chord_inference_inference().session().call_truncate(store, session.0, length)
        })
    }

    /// Starts a generation.
    pub fn generate(
        &mut self,
        session: &Session,
        prompt: &w::Prompt,
        options: &w::GenerateOptions,
    ) -> Result<Generation, Error> {
        self.call(|engine, store| {
            let guest = engine.wasm_chord_inference_inference();
            guest.session().call_generate(store, session.0, prompt, options)
        })
        .map(Generation)
    }

    /// The next events of a generation; empty after the end.
    pub fn next(&mut self, generation: &Generation) -> Result<Vec<w::Event>, Error> {
        self.call(|engine, store| {
            engine.wasm_chord_inference_inference().generation().call_next(store, generation.0)
        })
    }

    /// Frees a model. Its sessions and generations keep what they need of it.
    pub fn close_model(&mut self, model: Model) -> Result<(), Error> {
        self.drop_resource(model.0)
    }

    /// Frees a session and its part of the cache.
    pub fn close_session(&mut self, session: Session) -> Result<(), Error> {
        self.drop_resource(session.0)
    }

    /// Ends a generation.
    pub fn close_generation(&mut self, generation: Generation) -> Result<(), Error> {
        self.drop_resource(generation.0)
    }

    fn drop_resource(&mut self, resource: ResourceAny) -> Result<(), Error> {
        self.call(|_, store| resource.resource_drop(store).map(Ok))
    }

    /// One call into the engine, with its deadline.
    fn call<T>(&mut self, f: impl FnOnce(&Engine, &mut Store<State>) -> Called<T>) -> Result<T, Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        let deadline = begin(&mut self.store);
        let watch = self.watchdog.watch(deadline);
        let result = f(&self.engine, &mut self.store);
        drop(watch);
        let result = match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(e)) => Err(self.refused(e, deadline)),
            Err(e) => Err(self.trapped(e, deadline)),
        };
        self.canceller.end(matches!(result, Err(Error::Cancelled | Error::Deadline(_))));
        result
    }

    /// The engine answered with an error. Its own `cancelled` may be the watchdog's doing.
    fn refused(&mut self, e: w::Error, deadline: Instant) -> Error {
        if matches!(e, w::Error::Cancelled) && Instant::now() >= deadline {
            return Error::Deadline(self.store.data().limits.call_time);
        }
        e.into()
    }

    fn trapped(&mut self, e: wasmtime::Error, deadline: Instant) -> Error {
        self.poisoned = true;
        if let Some(error) = stopped(&self.store, &e, deadline) {
            return error;
        }
        if let Some(bytes) = self.store.data().limiter.refused {
            let bound = self.store.data().limits.guest_memory >> 20;
            let wanted = bytes >> 20;
            return Error::Trap(format!("it needed {wanted} MiB of linear memory and may have {bound}"));
        }
        let cause = e.root_cause().to_string();
        Error::Trap(cause.lines().next().unwrap_or_default().to_owned())
    }
}

/// A call into the engine begins; the result is when it has to end.
fn begin(store: &mut Store<State>) -> Instant {
    let deadline = Instant::now() + store.data().limits.call_time;
    store.data_mut().deadline = Some(deadline);
    store.set_epoch_deadline(1);
    store.data().canceller.begin();
    deadline
}

/// The error of a call that the deadline or the canceller ended, if that is what `e` says.
fn stopped(store: &Store<State>, e: &wasmtime::Error, deadline: Instant) -> Option<Error> {
    if e.downcast_ref::<wasmtime::Trap>() != Some(&wasmtime::Trap::Interrupt) {
        return None;
    }
    Some(match Instant::now() >= deadline {
        true => Error::Deadline(store.data().limits.call_time),
        false => Error::Cancelled,
    })
}

/// Every tick of the epoch: go on, or stop for the canceller or the deadline.
fn on_epoch(store: wasmtime::StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    let state = store.data();
    Ok(match state.canceller.ends(state.deadline) {
        true => UpdateDeadline::Interrupt,
        false => UpdateDeadline::Continue(1),
    })
}
