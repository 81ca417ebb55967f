//! Links GCC's unwinder into the program where it would be a shared library: loading that is an eighth of the time
//! of a whole `awsso credential-process`, and the system needs no libgcc package.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|is| is == value);
    let gnu = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    let cross = env::var("HOST") != env::var("TARGET");
    if gnu && !cross && has_static_unwinder() {
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}

fn has_static_unwinder() -> bool {
    let found = Command::new("cc")
        .arg("-print-file-name=libgcc_eh.a")
        .output();
    // Without the file, the answer is its bare name.
    found.is_ok_and(|found| Path::new(String::from_utf8_lossy(&found.stdout).trim()).is_absolute())
}
