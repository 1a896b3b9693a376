//! The `familiar` program. Everything is in the library; see `cli` for the arguments and exit codes.

fn main() -> std::process::ExitCode {
    familiar::cli::main()
}
