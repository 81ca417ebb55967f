//! A daemon that its service manager starts for the first client.

use awsso_e2e::{World, bin, finish, process::signal};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_client_starts_the_service_and_its_socket_outlives_it() {
    let world = World::new().await;
    let service = world.supervised(&world.socket()).await;
    // To look is not to start one.
    let none = world.awsso(&["daemon", "status"]).await.ok();
    assert_eq!(none, "awssod is not running\n");

    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    assert_eq!(service.notified().await, "READY=1");
    assert_eq!(
        status["daemon"]["pid"].as_u64(),
        service.process.pid().map(u64::from)
    );
    let ended = service.stop(&world).await;
    assert!(ended.stdout.starts_with("ready "), "{ended:?}");
    assert!(world.socket().exists(), "it is the manager's");

    // SIGTERM is how the manager itself ends it.
    std::fs::remove_file(world.socket()).unwrap();
    let service = world.supervised(&world.socket()).await;
    let _ = world.awsso(&["status"]).await.ok();
    assert_eq!(service.notified().await, "READY=1");
    signal(service.process.pid().unwrap(), "TERM");
    assert_eq!(service.notified().await, "STOPPING=1");
    let _ = service.process.end().await.code(0);
    assert!(world.socket().exists());
    std::fs::remove_file(world.socket()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_beside_a_running_daemon_fails_with_a_reason() {
    let world = World::new().await;
    let _ = world.awsso(&["daemon", "start"]).await.ok();
    let elsewhere = world.runtime().join("elsewhere/awssod.sock");
    let service = world.supervised(&elsewhere).await;
    let knock = std::os::unix::net::UnixStream::connect(&elsewhere).unwrap();
    let told = service.notified().await;
    let running = format!(
        "another awssod is already running on {}",
        world.socket().display()
    );
    assert_eq!(told, format!("STATUS={running}"));
    let ended = service.process.end().await.code(1);
    assert!(ended.stdout.starts_with("error BUSY another"), "{ended:?}");
    drop(knock);
    assert!(elsewhere.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_daemon_of_its_own_finds_the_service() {
    let world = World::new().await;
    let service = world.supervised(&world.socket()).await;
    // Beside this one there is no daemon to start.
    let alone = world.dir().join("awsso");
    std::fs::copy(bin("awsso"), &alone).unwrap();
    let mut command = world.program(&alone);
    command.args(["status", "--json"]);
    let status = finish(command, "status".into()).await.code(0).json();
    assert_eq!(
        status["daemon"]["pid"].as_u64(),
        service.process.pid().map(u64::from)
    );
    let _ = service.stop(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_a_service_has_the_environment_of_the_client_that_asked() {
    let world = World::new().await;
    let service = world.supervised(&world.socket()).await;
    world.login().await;
    assert_eq!(service.notified().await, "READY=1");
    let aws = world.fake_aws("env");
    let mut exec = aws.exec("aws sts get-caller-identity");
    exec.env("LC_ALL", "C.UTF-8")
        .env("HTTPS_PROXY", "http://proxy.example:3128")
        .env("AWS_CA_BUNDLE", "/etc/ssl/company.pem")
        .env("TZ", "Asia/Tokyo");
    let run = finish(exec, "env".into()).await.code(0);
    let home = format!("HOME={}", world.home().display());
    let path = format!("PATH={}", world.dir().join("bin").display());
    for wanted in [
        home.as_str(),
        path.as_str(),
        "LC_ALL=C.UTF-8",
        "HTTPS_PROXY=http://proxy.example:3128",
        "AWS_CA_BUNDLE=/etc/ssl/company.pem",
        "TZ=Asia/Tokyo",
        "AWS_ENDPOINT_URL=",
    ] {
        let has = run.stdout.lines().any(|line| line.starts_with(wanted));
        assert!(has, "{wanted} in {run:?}");
    }
    for name in ["LISTEN_", "NOTIFY_SOCKET"] {
        assert!(!run.stdout.contains(name), "{run:?}");
    }
    // No child holds the socket open.
    let aws = world.fake_aws("ls -l /proc/self/fd");
    let open = aws.run("aws sts x").await.code(0).stdout;
    assert!(!open.contains("socket:"), "{open}");
    let _ = service.stop(&world).await;
}
