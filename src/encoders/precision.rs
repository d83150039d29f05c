//! What a CUDA device computes in: autocast to half floats, TF32, deterministic algorithms. tch has neither the kind that
//! autocast casts to nor the switches of the others, so that the functions of libtorch itself are looked up where the program has loaded them.

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
    /// A usage error, if the device cannot compute so.
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
            format!("{asked} needs a CUDA device, and this run computes on the processor"),
            "run with --device cuda, or leave `precision` and `tf32` of the encoder at their defaults",
        ))
    }

    /// Sets what this thread, and for TF32 the process, computes in from here on. On the processor there is nothing to
    /// set.
    ///
    /// # Errors
    /// If this libtorch does not have the switches.
    pub(super) fn prepare(self, device: Device) -> anyhow::Result<()> {
        if !device.is_cuda() {
            return Ok(());
        }
        // By default products have it off and convolutions on; neither is left to chance.
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

/// What is not encoding computes in float32 on any device, by algorithms that give the same bits each time: for a CUDA
/// device both are set here, whatever an encoder set before. On the processor there is nothing to set.
///
/// # Errors
/// If this libtorch does not have the switches.
pub fn plain(device: Device) -> anyhow::Result<()> {
    if !device.is_cuda() {
        return Ok(());
    }
    set_deterministic(true)?;
    Numerics { precision: Precision::Float32, tf32: false }.prepare(device)
}

/// `at::Context::setDeterministicAlgorithms(bool, bool warn_only)` of `at::globalContext()`: an operation that has no
/// deterministic algorithm is an error from then on.
fn set_deterministic(wanted: bool) -> anyhow::Result<()> {
    let context = function(c"_ZN2at13globalContextEv")?;
    let set = function(c"_ZN2at7Context26setDeterministicAlgorithmsEbb")?;
    // SAFETY: the signatures are those of ATen/Context.h; a reference is a pointer.
    unsafe {
        let context: extern "C" fn() -> *mut c_void = std::mem::transmute(context);
        let set: extern "C" fn(*mut c_void, bool, bool) = std::mem::transmute(set);
        set(context(), wanted, false);
    }
    Ok(())
}

/// `c10::ScalarType`
const HALF: i8 = 5;
const BFLOAT16: i8 = 15;
/// `c10::DeviceType`
const CUDA: i8 = 1;

/// `at::Context::setAllowTF32CuBLAS(bool)` and `setAllowTF32CuDNN(bool)` of `at::globalContext()`.
fn set_tf32(allowed: bool) -> anyhow::Result<()> {
    let context = function(c"_ZN2at13globalContextEv")?;
    // SAFETY: the signatures are those of ATen/Context.h in every libtorch since 1.7; a reference is a pointer.
    unsafe {
        let context: extern "C" fn() -> *mut c_void = std::mem::transmute(context);
        for name in [c"_ZN2at7Context18setAllowTF32CuBLASEb", c"_ZN2at7Context17setAllowTF32CuDNNEb"] {
            let set: extern "C" fn(*mut c_void, bool) = std::mem::transmute(function(name)?);
            set(context(), allowed);
        }
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
    (!found.is_null()).then_some(found).with_context(|| {
        format!("this libtorch has no {}, with which the precision is chosen", symbol.to_string_lossy())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_computes_in_float32_alone() {
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

    /// The switches are libtorch's own: what was set is what libtorch then says. They matter to CUDA devices alone.
    #[test]
    fn switches_reach_libtorch() {
        let allowed = || {
            let (context, get) =
                (function(c"_ZN2at13globalContextEv"), function(c"_ZNK2at7Context15allowTF32CuBLASEv"));
            // SAFETY: as in `set_tf32`.
            unsafe {
                let context: extern "C" fn() -> *mut c_void = std::mem::transmute(context.unwrap());
                let get: extern "C" fn(*mut c_void) -> bool = std::mem::transmute(get.unwrap());
                get(context())
            }
        };
        set_tf32(true).unwrap();
        assert!(allowed());
        set_tf32(false).unwrap();
        assert!(!allowed());
        let deterministic = || {
            let (context, get) =
                (function(c"_ZN2at13globalContextEv"), function(c"_ZNK2at7Context23deterministicAlgorithmsEv"));
            // SAFETY: as in `set_deterministic`.
            unsafe {
                let context: extern "C" fn() -> *mut c_void = std::mem::transmute(context.unwrap());
                let get: extern "C" fn(*mut c_void) -> bool = std::mem::transmute(get.unwrap());
                get(context())
            }
        };
        set_deterministic(true).unwrap();
        assert!(deterministic());
        set_deterministic(false).unwrap();
        assert!(!deterministic());
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
