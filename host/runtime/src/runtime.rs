//! The long-lived parts: compiler, linker, threads, epoch clock.

use crate::cancel::Canceller;
use crate::clock::Clock;
use crate::error::one_line;
use crate::limits::{Limiter, Limits};
use crate::pool::ThreadPool;
use crate::state::State;
use crate::stats::{HASH_OF_NOTHING, Stats};
use crate::{Error, Instance, Precompiled, Weights, config, system};
use chord_cpu::{Bounds, CpuDevice, Kernels, Pool};
use chord_ops::{Budget, Device, DeviceInfo};
use chord_wit::generated;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::WasiCtx;

/// Compiles and instantiates engines. Cheap to clone; clones share the compiler and the threads.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    /// Made when the first component is compiled.
    compiler: OnceLock<Compiler>,
    cache: Option<PathBuf>,
    /// The engine that was compiled with the program.
    precompiled: Option<InstancePre<State>>,
    pool: Arc<ThreadPool>,
    kernels: Kernels,
    limits: Limits,
    record_plans: bool,
    memory_budget: usize,
    profile_ops: bool,
    hash_logits: bool,
}

/// Compiles components and gives them their imports.
struct Compiler {
    engine: Engine,
    linker: Linker<State>,
}

/// Settings of a [`Runtime`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    threads: Option<usize>,
    isa: Option<String>,
    limits: Limits,
    cache: Option<PathBuf>,
    precompiled: Option<Precompiled>,
    record_plans: bool,
    memory_budget: usize,
    profile_ops: bool,
    hash_logits: bool,
}

impl Builder {
    /// Threads of the CPU device: so many, or as many as the process can run at once if these are fewer. Default: all cores
    /// that the process may use.
    pub fn threads(mut self, threads: usize) -> Builder {
        self.threads = Some(threads);
        self
    }

    /// Kernels of this instruction set instead of the best one found (`portable`, `avx2`, …).
    pub fn isa(mut self, isa: impl Into<String>) -> Builder {
        self.isa = Some(isa.into());
        self
    }

    /// Bounds on each instance.
    pub fn limits(mut self, limits: Limits) -> Builder {
        self.limits = limits;
        self
    }

    /// Folder for compiled engines, so that a component is compiled once per machine. Default: none.
    pub fn cache(mut self, folder: PathBuf) -> Builder {
        self.cache = Some(folder);
        self
    }

    /// Code that was compiled with the program, for [`Runtime::precompiled`]. Default: none.
    pub fn precompiled(mut self, code: Precompiled) -> Builder {
        self.precompiled = Some(code);
        self
    }

    /// Most bytes that each instance may take for copies of weights in huge pages, where the system has them: they are read
    /// faster than the file's own pages. Default: 0, no copies.
    pub fn memory_budget(mut self, bytes: usize) -> Builder {
        self.memory_budget = bytes;
        self
    }

    /// Keeps each plan's text for [`Instance::plans`].
    pub fn record_plans(mut self) -> Builder {
        self.record_plans = true;
        self
    }

    /// Times each op of each plan, for [`Instance::profile`]. Costs microseconds a step.
    pub fn profile_ops(mut self) -> Builder {
        self.profile_ops = true;
        self
    }

    /// Hashes what the device returns, for [`crate::Stats::logits_hash`]. Takes time in each step.
    pub fn hash_logits(mut self) -> Builder {
        self.hash_logits = true;
        self
    }

    /// Builds the runtime and starts its threads.
    pub fn build(self) -> Result<Runtime, Error> {
        let kernels = match &self.isa {
            None => Kernels::detect(),
            Some(name) => Kernels::with_isa(name)
                .ok_or_else(|| Error::Host(format!("kernels for `{name}` are not available on this CPU")))?,
        };
        system::check()?;
        // The clock first: where threads are few, it needs one more than the kernels do.
        let clock = Clock::start()?;
        let threads = self.threads.map_or_else(ThreadPool::default_threads, ThreadPool::useful_threads);
        let pool = Arc::new(ThreadPool::new(threads));
        let precompiled = self.precompiled.and_then(|code| ready(code, &clock));
        let Builder { limits, cache, record_plans, memory_budget, profile_ops, hash_logits, .. } = self;
        let compiler = OnceLock::new();
        let shared = Shared {
            clock,
            compiler,
            cache,
            precompiled,
            pool,
            kernels,
            limits,
            record_plans,
            memory_budget,
            profile_ops,
            hash_logits,
        };
        Ok(Runtime { shared: Arc::new(shared) })
    }
}

/// Precompiled code with its imports, if it runs on this system and CPU.
fn ready(code: Precompiled, clock: &Clock) -> Option<InstancePre<State>> {
    let unused =
        |why: &str| tracing::debug!("the engine that was compiled with this program is not used: {why}");
    if !system::has_address_space() {
        unused("address space is limited, and it needs 4 GiB for each memory");
        return None;
    }
    let load = || {
        let component = code.load()?;
        linker(component.engine())?.instantiate_pre(&component)
    };
    let pre = load().map_err(|e: wasmtime::Error| unused(&one_line(&e))).ok()?;
    clock.tick(pre.engine());
    Some(pre)
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    crate::wasi::add_to_linker(&mut linker)?;
    generated::Engine::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl Compiler {
    fn new(cache: Option<&Path>) -> Result<Compiler, Error> {
        let failed = |e: wasmtime::Error| Error::Host(one_line(&e));
        let engine = Engine::new(&config::compiling(cache)?).map_err(failed)?;
        let linker = linker(&engine).map_err(failed)?;
        Ok(Compiler { engine, linker })
    }
}

/// Compiles a component for at most some time. The compiler cannot be interrupted: what takes longer is given up, and its
/// thread ends by itself.
fn compile_within(engine: &Engine, bytes: &[u8], time: Duration) -> Result<Component, Error> {
    let bad = |e: wasmtime::Error| Error::of_component(&e);
    let (sender, receiver) = mpsc::channel();
    let (with, owned) = (engine.clone(), bytes.to_vec());
    // Nobody receives what comes too late.
    let compile = move || drop(sender.send(Component::new(&with, &owned)));
    if std::thread::Builder::new().name("chord-compile".into()).spawn(compile).is_err() {
        return Component::new(engine, bytes).map_err(bad);
    }
    match receiver.recv_timeout(time) {
        Ok(component) => component.map_err(bad),
        Err(RecvTimeoutError::Timeout) => {
            Err(Error::Component(format!("compiling took longer than {time:?}")))
        }
        Err(RecvTimeoutError::Disconnected) => Err(Error::Host("the compiler panicked".into())),
    }
}

impl Runtime {
    /// Settings to start from.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Compiles the bytes of an engine component and checks its imports and exports.
    pub fn component(&self, bytes: &[u8]) -> Result<EngineComponent, Error> {
        if bytes.len() < 8 || &bytes[..4] != b"\0asm" {
            return Err(Error::Component(
                "expected a WebAssembly component, found another kind of file".into(),
            ));
        }
        if bytes[6] == 0 {
            let found = "found a core module; build it for wasm32-wasip2";
            return Err(Error::Component(format!("expected a WebAssembly component, {found}")));
        }
        let (size, most) = (bytes.len(), self.shared.limits.component_bytes);
        if size > most {
            return Err(Error::Component(format!("it has {size} bytes, at most {most} are allowed")));
        }
        let bad = |e: wasmtime::Error| Error::of_component(&e);
        let compiler = self.compiler()?;
        let component = compile_within(&compiler.engine, bytes, self.shared.limits.compile_time)?;
        let pre = compiler.linker.instantiate_pre(&component).map_err(bad)?;
        // Checked now, so that instantiation can only fail for reasons of its own.
        generated::EnginePre::new(pre.clone()).map_err(bad)?;
        Ok(EngineComponent { runtime: self.clone(), pre })
    }

    /// The engine that was compiled with the program, if it was given to the builder and runs here.
    pub fn precompiled(&self) -> Option<EngineComponent> {
        let pre = self.shared.precompiled.clone()?;
        Some(EngineComponent { runtime: self.clone(), pre })
    }

    fn compiler(&self) -> Result<&Compiler, Error> {
        let shared = &self.shared;
        if let Some(compiler) = shared.compiler.get() {
            return Ok(compiler);
        }
        let compiler = Compiler::new(shared.cache.as_deref())?;
        Ok(shared.compiler.get_or_init(|| {
            shared.clock.tick(&compiler.engine);
            compiler
        }))
    }

    /// The devices that engines find here.
    pub fn devices(&self) -> Vec<DeviceInfo> {
        vec![self.device(&Canceller::default()).info()]
    }

    /// The kernel table of the CPU device, as text.
    pub fn kernels(&self) -> String {
        self.shared.kernels.to_string()
    }

    /// The CPU device on the runtime's threads, stopped by `canceller`: what engines find here, for use without one.
    pub fn device(&self, canceller: &Canceller) -> CpuDevice {
        let shared = &self.shared;
        let mut device = CpuDevice::new(shared.kernels.clone(), shared.pool.clone(), canceller.flag());
        if shared.memory_budget > 0 {
            device = device.with_copies(shared.memory_budget, crate::mapping::advise_huge);
        }
        if shared.profile_ops { device.with_clock(nanoseconds) } else { device }
    }

    pub(crate) fn pool(&self) -> &dyn Pool {
        &*self.shared.pool
    }

    /// Instruction set of the kernels in use.
    pub(crate) fn isa(&self) -> &'static str {
        self.shared.kernels.vecs.isa
    }
}

/// Since the first call.
fn nanoseconds() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// A compiled engine, ready to be instantiated many times.
#[derive(Clone)]
pub struct EngineComponent {
    runtime: Runtime,
    pre: InstancePre<State>,
}

impl EngineComponent {
    /// A fresh sandboxed engine that can read `weights` and nothing else.
    pub fn instantiate(&self, weights: Weights) -> Result<Instance, Error> {
        let shared = &self.runtime.shared;
        let canceller = Canceller::default();
        let limits = &shared.limits;
        let bounds = Bounds {
            memory: Budget::new(limits.device_bytes),
            kv: Budget::new(limits.kv_bytes),
            limits: limits.plan,
        };
        let mut table = ResourceTable::new();
        table.set_max_capacity(shared.limits.handles);
        let state = State {
            table,
            wasi: WasiCtx::builder().build(),
            limiter: Limiter::new(&shared.limits),
            limits: shared.limits.clone(),
            weights,
            device: self.runtime.device(&canceller).with_bounds(bounds.clone()),
            bounds,
            canceller: canceller.clone(),
            stats: Stats { logits_hash: shared.hash_logits.then_some(HASH_OF_NOTHING), ..Stats::default() },
            plans: shared.record_plans.then(Default::default),
            deadline: None,
        };
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        Instance::start(store, &self.pre, canceller)
    }
}
