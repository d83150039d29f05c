//! `seesaw`: answers at once what needs no tensors, and hands the rest to `seesaw-full`.

fn main() -> std::process::ExitCode {
    seesaw::cli::light_main()
}
