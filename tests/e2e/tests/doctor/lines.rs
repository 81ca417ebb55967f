//! That no line of doctor is without a test: what it can say it tells itself.

use awsso_e2e::World;

/// Each test of these looks for lines by the name of their finding.
const TESTS: [&str; 5] = [
    include_str!("../doctor.rs"),
    include_str!("machine.rs"),
    include_str!("mcp.rs"),
    include_str!("profiles.rs"),
    include_str!("traps.rs"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_line_that_doctor_can_print_is_brought_about_by_a_test() {
    let world = World::new().await;
    let list = world.awsso(&["doctor", "--list", "--json"]).await.code(0);
    let list = list.json();
    let findings = list["findings"].as_array().unwrap();
    assert!(findings.len() > 80, "{list:#}");
    let mut untested = Vec::new();
    for finding in findings {
        let name = finding["finding"].as_str().unwrap();
        assert_ne!(finding["meaning"], "", "{name}");
        let literal = format!("\"{name}\"");
        if !TESTS.iter().any(|test| test.contains(&literal)) {
            untested.push(name);
        }
    }
    assert!(untested.is_empty(), "no test looks for {untested:?}");
    assert!(!world.socket().exists(), "no daemon is needed for that");

    let shown = world.awsso(&["doctor", "--list"]).await.ok();
    assert_eq!(shown.lines().count(), findings.len());
}
