//! The programs that the demo shows: cargo builds them, with its own progress, beside the demo.

use std::{env, path::Path, process::Command};

use anyhow::{Context as _, ensure};

/// Brings every binary of the workspace up to date. The example is named, too, because that chooses the same features of
/// the dependencies as the tests have: one build serves both.
pub fn build() -> anyhow::Result<()> {
    // Set by `cargo run`.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut build = Command::new(cargo);
    build
        .args(["build", "--workspace", "--bins", "--example", "demo"])
        .current_dir(workspace);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    // What `cargo run` says of the demo's own package is news to build scripts (of ring), which then run again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            build.env_remove(name);
        }
    }
    let status = build.status().context("cargo cannot be run")?;
    ensure!(status.success(), "cargo build failed");
    Ok(())
}
