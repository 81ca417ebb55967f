//! The authorization code flow (RFC 6749 with PKCE) in a real browser.

use awsso_e2e::{Background, Browser, Page, World, bin};

/// The person allows it; the browser comes back to the daemon.
async fn allow(page: &Page<'_>) {
    page.click("#allow").await;
    page.reaches("/oauth/callback").await;
    let url = page.url().await;
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let text = page.text().await.to_lowercase();
    assert!(text.contains("logged in"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_allows_access_in_a_browser_that_comes_back() {
    let world = World::waiting().await;
    let browser = Browser::start(&world);
    let login = world.awsso_in_background(&["login", "--flow", "browser", "--no-launch-browser"]);
    let link = login.link().await;
    assert!(link.contains("/authorize?"), "{link}");
    allow(&browser.open(&link).await).await;
    let done = login.end().await.ok();
    assert!(done.starts_with("Logged in to "), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_opens_the_browser_that_the_environment_names_and_needs_no_code() {
    let world = World::waiting().await;
    let browser = Browser::start(&world);
    let mut links = world.links();
    let mut command = world.program(bin("awsso"));
    command
        .args(["login", "--flow", "browser"])
        .env("BROWSER", links.browser());
    let login = Background::start(command, "login --flow browser");
    let link = links.next().await;
    assert_eq!(link, login.link().await);
    allow(&browser.open(&link).await).await;
    let _ = login.end().await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_denies_access_is_told_so_on_both_sides() {
    let world = World::waiting().await;
    let browser = Browser::start(&world);
    let login = world.awsso_in_background(&["login", "--flow", "browser", "--no-launch-browser"]);
    let page = browser.open(&login.link().await).await;
    page.click("#deny").await;
    page.reaches("/oauth/callback").await;
    let text = page.text().await.to_lowercase();
    assert!(text.contains("denied"), "{text}");
    let _ = login.end().await.code(1).says("denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_names_the_other_flow_changes_the_login_for_all_who_wait() {
    let world = World::waiting().await;
    let first = world.awsso_in_background(&["login", "--flow", "browser", "--no-launch-browser"]);
    let link = first.link().await;
    let second = world.awsso_in_background(&["login", "--flow", "device", "--no-launch-browser"]);
    let code = world.sandbox.device_code_requested().await;
    first.says(&code).await;
    second.says(&code).await;
    // Nobody listens for the browser any more.
    let redirect = link.split("127.0.0.1%3A").nth(1).expect(&link);
    let port: u16 = redirect.split('%').next().unwrap().parse().unwrap();
    let refused = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    assert!(refused.is_err(), "port {port} is still open");
    assert!(world.sandbox.approve());
    let _ = first.end().await.ok();
    let _ = second.end().await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_decides_where_nobody_says_how() {
    let world = World::waiting().await;
    world.configure("login_flow = 'browser'\n");
    let login = world.awsso_in_background(&["login", "--no-launch-browser"]);
    let link = login.link().await;
    assert!(link.contains("/authorize?"), "{link}");
    let _ = world.awsso(&["logout"]).await.ok();
    let _ = login.end().await.code(1).says("given up by a logout");
    world.configure("login_flow = 'device'\n");
    let login = world.awsso_in_background(&["login", "--no-launch-browser"]);
    login
        .says(&world.sandbox.device_code_requested().await)
        .await;
    assert!(world.sandbox.approve());
    let _ = login.end().await.ok();
}
