//! A login's page in a real browser.

use awsso_e2e::{Background, Browser, World, bin};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_confirms_the_code_in_a_browser() {
    let world = World::waiting().await;
    let browser = Browser::start(&world);
    let login = world.awsso_in_background(&["login", "--no-launch-browser"]);
    let page = browser.open(&login.link().await).await;
    page.shows(&world.sandbox.device_code_requested().await)
        .await;
    page.click("#allow").await;
    page.shows("Request approved").await;
    let done = login.end().await.ok();
    assert!(done.starts_with("Logged in to "), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_refuses_in_a_browser() {
    let world = World::waiting().await;
    let browser = Browser::start(&world);
    let login = world.awsso_in_background(&["login", "--no-launch-browser"]);
    let page = browser.open(&login.link().await).await;
    page.click("#deny").await;
    page.shows("Request denied").await;
    let _ = login.end().await.code(1).says("the login was denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_gives_its_link_to_the_browser_that_the_environment_names() {
    let world = World::waiting().await;
    let mut links = world.links();
    let mut command = world.program(bin("awsso"));
    command
        .args(["login", "--flow", "device"])
        .env("BROWSER", links.browser());
    let login = Background::start(command, "login");
    assert_eq!(links.next().await, login.link().await);
    assert!(world.sandbox.approve());
    let _ = login.end().await.ok();
}
