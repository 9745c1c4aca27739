//! The program that runs inside a sandbox: see [`probes::main`].

fn main() -> std::process::ExitCode {
    probes::main()
}
