//! The fork server as a program of its own: small, and nothing else.

fn main() -> std::process::ExitCode {
    sandbox_core::fork_server::main()
}
