//! The op suite as a program: random plans, steps, forks and cuts on the CPU device, next to the scalar reference.
//!
//! Built for wasm32-wasip2 and run under wasmtime by the tests, it shows that the executor that hosts run natively also
//! runs in a sandbox. `op-suite [SCRIPTS]`; exit code 1 and the first difference on stderr if there is one.

use chord_cpu::{CpuDevice, Kernels, Serial};
use chord_ops::testing::{compare, limits, random_plan};
use chord_ops::{Device, validate};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let scripts = std::env::args().nth(1).map_or(Ok(100), |n| n.parse::<u64>());
    let device = CpuDevice::new(Kernels::detect(), Arc::new(Serial), Default::default());
    let result = scripts.map_err(|e| format!("number of scripts: {e}")).and_then(|n| {
        (0..n).map(|seed| script(&device, seed)).sum::<Result<usize, String>>().map(|steps| (n, steps))
    });
    match result {
        Ok((scripts, steps)) => {
            let target = if cfg!(target_family = "wasm") { "wasm" } else { "native" };
            println!(
                "{scripts} scripts, {steps} steps: as the reference ({target}, {})",
                device.info().description
            );
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// Steps compared in one script.
fn script(device: &CpuDevice, seed: u64) -> Result<usize, String> {
    let failed = |e: &dyn std::fmt::Display| format!("script {seed}: {e}");
    let plan = validate(random_plan(seed), &limits()).map_err(|e| failed(&e))?;
    compare(device, &plan, seed).map_err(|e| failed(&e))
}
