//! What a CUDA device computes in: autocast to half floats, TF32, deterministic algorithms. tch has no switches for these, so
//! libtorch's own functions are looked up in the running program.

use std::ffi::{CStr, c_void};

use anyhow::Context;
use tch::Device;

use super::options::Precision;
use crate::errors;

/// How an encoder computes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numerics {
    pub(super) precision: Precision,
    pub(super) tf32: bool,
}

impl Numerics {
    /// # Errors
    /// A usage error, if the device does not support it.
    pub(super) fn check(self, device: Device) -> anyhow::Result<()> {
        let asked = match self {
            Numerics { precision: Precision::Float32, tf32: false } => return Ok(()),
            Numerics { precision: Precision::Float32, .. } => "`tf32`".to_owned(),
            Numerics { precision, .. } => format!("the precision {}", precision.name()),
        };
        if device.is_cuda() {
            return Ok(());
        }
        Err(errors::usage(
            format!("{asked} needs a CUDA device, but this run uses the CPU"),
            "run with --device cuda, or leave `precision` and `tf32` of the encoder at their defaults",
        ))
    }

    /// Sets what this thread, and for TF32 the process, computes in from now on. Does nothing on a CPU.
    ///
    /// # Errors
    /// If this libtorch has no such switch.
    pub(super) fn prepare(self, device: Device) -> anyhow::Result<()> {
        if !device.is_cuda() {
            return Ok(());
        }
        // libtorch's defaults differ: off for products, on for convolutions.
        set_tf32(self.tf32)?;
        match self.precision {
            Precision::Float32 => Ok(()),
            Precision::Bfloat16 => set_autocast_kind(BFLOAT16),
            Precision::Float16 => set_autocast_kind(HALF),
        }
    }

    /// Runs a network.
    pub(super) fn run<T>(self, device: Device, network: impl FnOnce() -> T) -> T {
        if device.is_cuda() && self.precision != Precision::Float32 { tch::autocast(true, network) } else { network() }
    }
}

/// Sets a CUDA device to float32 and to deterministic algorithms, for everything but encoding, whatever an encoder set before.
/// Does nothing on a CPU.
///
/// # Errors
/// If this libtorch has no such switch.
pub fn plain(device: Device) -> anyhow::Result<()> {
    if !device.is_cuda() {
        return Ok(());
    }
    set_deterministic(true)?;
    Numerics { precision: Precision::Float32, tf32: false }.prepare(device)
}

/// `at::globalContext()`: a reference, which is a pointer.
fn context() -> anyhow::Result<*mut c_void> {
    let context = function(c"_ZN2at13globalContextEv")?;
    // SAFETY: the signature is that of ATen/Context.h.
    Ok(unsafe { std::mem::transmute::<*mut c_void, extern "C" fn() -> *mut c_void>(context) }())
}

/// `at::Context::setDeterministicAlgorithms(bool, bool warn_only)`. Afterwards, an operation without a deterministic
/// algorithm is an error.
fn set_deterministic(wanted: bool) -> anyhow::Result<()> {
    let set = function(c"_ZN2at7Context26setDeterministicAlgorithmsEbb")?;
    // SAFETY: the signature is that of ATen/Context.h.
    let set: extern "C" fn(*mut c_void, bool, bool) = unsafe { std::mem::transmute(set) };
    set(context()?, wanted, false);
    Ok(())
}

/// `c10::ScalarType`
const HALF: i8 = 5;
const BFLOAT16: i8 = 15;
/// `c10::DeviceType`
const CUDA: i8 = 1;

/// `at::Context::setAllowTF32CuBLAS(bool)` and `setAllowTF32CuDNN(bool)`.
fn set_tf32(allowed: bool) -> anyhow::Result<()> {
    for name in [c"_ZN2at7Context18setAllowTF32CuBLASEb", c"_ZN2at7Context17setAllowTF32CuDNNEb"] {
        // SAFETY: the signature is that of ATen/Context.h in every libtorch since 1.7.
        let set: extern "C" fn(*mut c_void, bool) = unsafe { std::mem::transmute(function(name)?) };
        set(context()?, allowed);
    }
    Ok(())
}

/// `at::autocast::set_autocast_dtype(at::DeviceType, at::ScalarType)`, which holds for the calling thread.
fn set_autocast_kind(kind: i8) -> anyhow::Result<()> {
    let set = function(c"_ZN2at8autocast18set_autocast_dtypeEN3c1010DeviceTypeENS1_10ScalarTypeE")?;
    // SAFETY: the signature is that of ATen/autocast_mode.h; both enumerations are one signed byte.
    unsafe {
        let set: extern "C" fn(i8, i8) = std::mem::transmute(set);
        set(CUDA, kind);
    }
    Ok(())
}

/// A function of the libtorch that this program has loaded, by its symbol.
fn function(symbol: &CStr) -> anyhow::Result<*mut c_void> {
    // SAFETY: the name is a C string; nothing is called yet.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()) };
    (!found.is_null())
        .then_some(found)
        .with_context(|| format!("this libtorch has no {}, which sets the precision", symbol.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_computes_in_float32_alone() {
        let check = |precision, tf32, device| Numerics { precision, tf32 }.check(device);
        check(Precision::Float32, false, Device::Cpu).unwrap();
        for (precision, tf32, named) in [
            (Precision::Bfloat16, false, "bfloat16"),
            (Precision::Float16, true, "float16"),
            (Precision::Float32, true, "`tf32`"),
        ] {
            let error = check(precision, tf32, Device::Cpu).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
            assert_eq!(errors::class_of(&error), errors::Class::Usage);
            check(precision, tf32, Device::Cuda(0)).unwrap();
        }
    }

    /// libtorch returns what was set. The switches matter to CUDA devices alone.
    #[test]
    fn switches_reach_libtorch() {
        let get = |name: &CStr| {
            // SAFETY: both getters have this signature in ATen/Context.h.
            let get: extern "C" fn(*mut c_void) -> bool = unsafe { std::mem::transmute(function(name).unwrap()) };
            get(context().unwrap())
        };
        for wanted in [true, false] {
            set_tf32(wanted).unwrap();
            assert_eq!(get(c"_ZNK2at7Context15allowTF32CuBLASEv"), wanted);
            set_deterministic(wanted).unwrap();
            assert_eq!(get(c"_ZNK2at7Context23deterministicAlgorithmsEv"), wanted);
        }
        let kind = function(c"_ZN2at8autocast18get_autocast_dtypeEN3c1010DeviceTypeE").unwrap();
        // SAFETY: as in `set_autocast_kind`.
        let kind: extern "C" fn(i8) -> i8 = unsafe { std::mem::transmute(kind) };
        for chosen in [BFLOAT16, HALF] {
            set_autocast_kind(chosen).unwrap();
            assert_eq!(kind(CUDA), chosen);
        }
        assert!(function(c"no_such_function").unwrap_err().to_string().contains("no_such_function"));
    }
}
