//! Makes the program start fast on Linux, for SDKs start it hundreds of times a minute. The C library and GCC's unwinder
//! are linked into it where it would load them: to find, map and relocate them is a third of the time of a whole
//! `awsso credential-process`. Where the system has them only shared, they stay that. And it starts by itself (`start.rs`).

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// What the linker is asked for, and what it is to find. The last is asked for last: the three need each other.
const LIBRARIES: [(&str, &[&str]); 7] = [
    ("libdl.so", &["libdl.a"]),
    ("libgcc_s.so", &["libgcc_eh.a"]),
    ("libm.so", &["libm.a"]),
    ("libpthread.so", &["libpthread.a"]),
    ("librt.so", &["librt.a"]),
    ("libutil.so", &["libutil.a"]),
    ("libc.so", &["libc.a", "libgcc.a", "libgcc_eh.a"]),
];

/// What a program begins with that relocates itself.
const START: &str = "rcrt1.o";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(own_start)");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|is| is == value);
    let gnu = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if gnu {
        // With any other C library it is Rust's own start that brings the arguments.
        println!("cargo:rustc-cfg=own_start");
    }
    let cross = env::var("HOST") != env::var("TARGET");
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let asked_for = features.split(',').any(|feature| feature == "crt-static");
    if !gnu || cross || asked_for || find(START).is_none() {
        return Ok(());
    }
    let scripts: Option<Vec<_>> = LIBRARIES.iter().map(script).collect();
    let Some(scripts) = scripts else {
        return Ok(());
    };
    // `-C target-feature=+crt-static` does the same for every program and macro of a build. One program alone gets there
    // when the names of the shared libraries lead its linker to the archives.
    let names = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("static");
    fs::create_dir_all(&names)?;
    for (shared, script) in scripts {
        fs::write(names.join(shared), script)?;
    }
    println!("cargo:rustc-link-arg-bins=-L{}", names.display());
    println!("cargo:rustc-link-arg-bins=-static-pie");
    Ok(())
}

/// What a linker reads where it looks for the library.
fn script((shared, archives): &(&'static str, &[&str])) -> Option<(&'static str, String)> {
    let archives: Option<Vec<_>> = archives.iter().map(|name| find(name)).collect();
    let names = archives?.join("\" \"");
    Some((shared, format!("GROUP ( \"{names}\" )\n")))
}

/// Where the C compiler finds a file of its libraries.
fn find(name: &str) -> Option<String> {
    let found = Command::new("cc")
        .arg(format!("-print-file-name={name}"))
        .output()
        .ok()?;
    let path = String::from_utf8(found.stdout).ok()?.trim().to_owned();
    // Without the file, the answer is its bare name.
    Path::new(&path).is_absolute().then_some(path)
}
