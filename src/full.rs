//! `seesaw-full`: the whole program, with libtorch. `seesaw` starts it if there is something to compute.

/// As in `main.rs`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    seesaw::cli::full_main()
}
