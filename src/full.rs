//! `seesaw-full`: the whole program, with libtorch. `seesaw` starts it if there is something to compute.

fn main() -> std::process::ExitCode {
    seesaw::cli::full_main()
}
