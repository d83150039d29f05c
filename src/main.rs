//! `seesaw`: runs commands that need no tensors, and starts `seesaw-full` for all others.

fn main() -> std::process::ExitCode {
    seesaw::cli::light_main()
}
