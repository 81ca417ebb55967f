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
