//! Variables that libraries under this program read, and that no result may depend on.

use crate::settings::variable;

/// They change the last bits of results, and enter no key: which vector instructions and which arithmetic libtorch, MKL,
/// oneDNN and cuBLAS use.
pub const OF_RESULTS: [&str; 15] = [
    "ATEN_CPU_CAPABILITY",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_BLAS_PREFER_CUBLASLT",
    "TORCH_CUDNN_V8_API_DISABLED",
    "TORCH_CUDNN_V8_API_ENABLED",
    "TORCH_LINALG_PREFER_CUSOLVER",
];

/// They bind the first thread to one core as soon as libtorch is loaded. All threads of a run inherit that.
pub const OF_THREADS: [&str; 6] =
    ["GOMP_CPU_AFFINITY", "KMP_AFFINITY", "OMP_PLACES", "OMP_PROC_BIND", "OMP_THREAD_LIMIT", "OMP_DYNAMIC"];

/// Tells the program with libtorch which of them it was started without.
pub const IGNORED: &str = "SEESAW_IGNORED";

/// The names of those that the user has set. The program with libtorch never sees them.
pub fn ignored() -> Vec<String> {
    let told = variable(IGNORED).unwrap_or_default();
    let is_ignored = |name: &&&str| variable(name).is_some() || told.split(',').any(|told| told == **name);
    OF_RESULTS.iter().chain(&OF_THREADS).filter(is_ignored).map(|name| (*name).to_owned()).collect()
}
