//! `seesaw-full`: the whole program. `seesaw` starts it when there is something to compute.

fn main() -> std::process::ExitCode {
    seesaw::cli::full_main()
}
