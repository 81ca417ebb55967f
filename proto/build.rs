//! Compiles the contract with protox: no `protoc` is needed on the machine.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "daemon",
        "session",
        "accounts",
        "credentials",
        "jobs",
        "approvals",
        "policy",
        "errors",
    ]
    .map(|name| format!("awsso/v1/{name}.proto"));
    for file in &files {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(&files, ["."])?;
    // The golden test compares this with what is checked in.
    let out = PathBuf::from(env::var("OUT_DIR")?).join("descriptor.bin");
    fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .skip_debug([".awsso.v1.Secret"])
        .compile_fds(descriptors)?;
    Ok(())
}
