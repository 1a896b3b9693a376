//! The engine that compiles and runs components: what of WebAssembly it takes, the pool of memory that
//! instances are made in, and the clock that interrupts them. It knows nothing of plugins.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// Calls that run at once; more wait in the broker.
pub const PLACES: u32 = 8;
/// Instances at once: of calls, and one that describes its tools.
const INSTANCES: u32 = PLACES + 2;
/// Core modules in a component. Python's interpreter is about thirty.
const MODULES: u32 = 200;
const MEMORIES: u32 = 4;
const TABLES: u32 = 8;
/// What one memory may ever hold; a call's own limit is lower.
const MEMORY: usize = 1 << 30;
/// Entries of one table, and of all tables of a call together.
pub const TABLE_ENTRIES: usize = 100_000;
/// Bytes of stack for WebAssembly; deeper recursion is a trap.
pub const STACK: usize = 512 << 10;
/// How often running code looks at the time. A call that begins just after a tick ends a whole one late.
const TICK: Duration = Duration::from_millis(5);
/// Ticks without a call after which the clock stops.
const LINGER: u32 = 400;

/// Bytes of a memory, and of a table, that a place keeps between calls.
const RESIDENT: usize = 256 << 10;

/// An engine for the machine at hand.
///
/// # Errors
/// The kernel refuses the address space that the pool reserves.
pub fn new() -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * MODULES)
        .total_memories(INSTANCES * MEMORIES)
        .total_tables(INSTANCES * TABLES)
        .max_core_instances_per_component(MODULES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(4)
        .max_memories_per_module(1)
        .max_memory_size(MEMORY)
        .table_elements(TABLE_ENTRIES)
        .max_component_instance_size(4 << 20)
        .max_unused_warm_slots(INSTANCES)
        // Memory that is cleared by hand is still there for the next call: giving it back and faulting it in
        // again takes longer. Where the kernel (6.7) tells which pages were written to, only those are cleared.
        .linear_memory_keep_resident(RESIDENT)
        .table_keep_resident(RESIDENT)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .max_wasm_stack(STACK)
        .cranelift_opt_level(OptLevel::Speed)
        // Sentences for people are made from the trap's kind; addresses help nobody there.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        // What no guest language needs is not there to be attacked.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_custom_page_sizes(false)
        .wasm_relaxed_simd(false)
        .wasm_wide_arithmetic(false);
    Engine::new(&config)
}

/// Moves the engine's epoch while anything runs, so that running code looks at the time.
#[derive(Clone)]
pub struct Ticker {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    running: u32,
    asleep: bool,
}

/// Something runs, for as long as this lives.
pub struct Running {
    shared: Arc<Shared>,
}

impl Ticker {
    /// Starts the clock's thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(engine: &Engine) -> std::io::Result<Ticker> {
        let shared = Arc::new(Shared { state: Mutex::default(), wake: Condvar::new() });
        let (engine, theirs) = (engine.clone(), shared.clone());
        std::thread::Builder::new().name("epoch".into()).spawn(move || tick(&engine, &theirs))?;
        Ok(Ticker { shared })
    }

    pub fn run(&self) -> Running {
        let mut state = self.shared.lock();
        state.running += 1;
        if state.asleep {
            self.shared.wake.notify_one();
        }
        Running { shared: self.shared.clone() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.lock().running -= 1;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn tick(engine: &Engine, shared: &Shared) {
    let mut idle = 0;
    loop {
        std::thread::sleep(TICK);
        engine.increment_epoch();
        let mut state = shared.lock();
        idle = if state.running == 0 { idle + 1 } else { 0 };
        while idle > LINGER && state.running == 0 {
            state.asleep = true;
            state = shared.wake.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        state.asleep = false;
    }
}
