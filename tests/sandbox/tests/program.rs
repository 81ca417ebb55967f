//! The binary: its line of readiness and its end.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn the_program_says_where_it_is_and_ends_with_its_stdin() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_awsso-sandbox"))
        .args([
            "--until-eof",
            "--accounts",
            "5000",
            "--region",
            "eu-central-1",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let base_url = ready["baseUrl"].as_str().unwrap();
    assert!(base_url.starts_with("http://127.0.0.1:"));
    assert_eq!(ready["startUrl"], format!("{base_url}/start"));
    assert_eq!(ready["region"], "eu-central-1");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
