//! What other users, other programs and AWS do to a sound installation.

use std::{os::unix::fs::chown, path::PathBuf, time::Duration};

use awsso_e2e::{Background, World, bin, finish, sandbox::Config};
use awsso_proto::ipc;
use serde_json::Value;
use tokio::process::Command;

use super::{Checks, doctor, doctor_with, set_mode};

const NOBODY: u32 = 65_534;

/// Takes the socket's place, and becomes somebody else.
const LISTEN: &str = "import os, socket, sys, time\n\
    s = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\nos.setuid(65534)\n\
    s.listen()\nprint('listening')\ntime.sleep(600)";

fn python(world: &World, program: &str, argument: &str) -> Command {
    let python = std::env::var("AWSSO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = world.program(python);
    command.args(["-u", "-c", program, argument]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_another_user_listens_on_is_found() {
    if ipc::own_uid() != 0 {
        return; // only root can become somebody else
    }
    let world = World::new().await;
    ipc::private_dir(world.socket().parent().unwrap()).unwrap();
    let socket = world.socket().display().to_string();
    let squatter = Background::start(python(&world, LISTEN, &socket), "another user");
    squatter.prints("listening").await;
    let checks = doctor(&world).await;
    checks.have(("socket-foreign", "fail", "is not yours", "AWSSO_SOCKET"));
    checks.have((
        "daemon-unreachable",
        "fail",
        "belongs to another user (uid Some(65534))",
        "",
    ));
    squatter.kill().await;
    std::fs::remove_file(world.socket()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_log_of_another_user_is_found() {
    if ipc::own_uid() != 0 {
        return; // only root can become somebody else
    }
    let world = World::new().await;
    set_mode(world.dir(), 0o755);
    let home = world.dir().join("nobody");
    let state = home.join(".local/state/awsso");
    ipc::private_dir(&state).unwrap();
    let mut theirs: Vec<PathBuf> = vec![state.clone()];
    theirs.extend([".local/state", ".local", ""].map(|dir| home.join(dir)));
    for dir in theirs {
        chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let log = state.join("audit.jsonl");
    std::fs::write(&log, "").unwrap();
    set_mode(&log, 0o600);
    let program = world.dir().join("awsso");
    std::fs::copy(bin("awsso"), &program).unwrap();
    let mut doctor = world.program("setpriv");
    doctor
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program)
        .args(["doctor", "--json"])
        .current_dir("/")
        .env("HOME", &home)
        .env("XDG_RUNTIME_DIR", &home);
    let run = finish(doctor, "doctor as another user".into()).await;
    let checks = Checks(run.code(0).json()["checks"].as_array().unwrap().clone());
    checks.have((
        "audit-unreadable",
        "fail",
        "the audit log cannot be read: Permission denied",
        "look at the rights",
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_open_files_the_first_are_named_and_the_others_counted() {
    let world = World::new().await;
    let cache = world.aws_cache();
    for number in 0..8 {
        world.write(&format!(".aws/sso/cache/{number}.json"), "{}");
        set_mode(&cache.join(format!("{number}.json")), 0o644);
    }
    let checks = doctor(&world).await;
    let line = ("more-files-open", "fail", "3 more files", "the same");
    checks.have(line);
    checks.have(("file-open", "fail", ".json is open to other users", ""));
    let named = |check: &&&Value| check["finding"] == "file-open";
    assert_eq!(checks.complaints().iter().filter(named).count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_never_ends_holds_doctor_up_for_a_while_only() {
    let world = World::new().await;
    let pipe = world.dir().join("pipe");
    let mut mkfifo = world.program("mkfifo");
    mkfifo.arg(&pipe);
    let _ = finish(mkfifo, "mkfifo".into()).await.ok();
    let pipe = pipe.display().to_string();
    let checks = doctor_with(&world, &[("AWS_SHARED_CREDENTIALS_FILE", &pipe)]).await;
    checks.have((
        "files-not-looked-at",
        "warn",
        "it took longer than 9 s",
        "once more",
    ));
    checks.have(("daemon-runs", "ok", "runs, pid", ""));
}

/// Logins that cannot be renewed long before they end.
async fn ending(token_lifetime: Duration) -> World {
    World::logged_in_to(Config {
        registration_lifetime: token_lifetime / 2,
        token_lifetime,
        ..Config::default()
    })
    .await
}

fn is(state: &str) -> impl Fn(&Value) -> bool {
    move |status| status["sessions"][0]["state"] == state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_ends_and_cannot_be_renewed_is_told() {
    let world = ending(Duration::from_mins(1)).await;
    world.status("an end", is("expiring")).await;
    doctor(&world).await.have((
        "session-expiring",
        "warn",
        "and cannot be renewed",
        "--force",
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_has_run_out_while_aws_was_away_is_told() {
    let world = World::logged_in_to(Config {
        token_lifetime: Duration::from_secs(12),
        ..Config::default()
    })
    .await;
    world
        .sandbox
        .faults()
        .fail_next("ssooidc.CreateToken", 1_000, 500);
    world.status("the end", is("expired")).await;
    doctor(&world)
        .await
        .have(("session-expired", "warn", "has run out: ", "awsso login"));
    world.sandbox.faults().clear();
}

/// A certificate of an authority that nobody trusts, and HTTPS with it.
async fn https(world: &World) -> (Background, String) {
    const CERTIFICATES: &str = "set -e; cd \"$1\"\n\
        key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n\
        openssl req -x509 $key -keyout ca.key -out ca.pem -days 2 -subj '/CN=A company'\n\
        openssl req $key -keyout key.pem -out request.pem -subj /CN=localhost\n\
        echo subjectAltName=DNS:localhost,IP:127.0.0.1 > names\n\
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial \
            -days 2 -extfile names -out cert.pem";
    const SERVE: &str = "import http.server, os, ssl, sys\nos.chdir(sys.argv[1])\n\
        s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n\
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\nc.load_cert_chain('cert.pem', 'key.pem')\n\
        s.socket = c.wrap_socket(s.socket, server_side=True)\n\
        print(s.server_address[1])\ns.serve_forever()";
    let dir = world.dir().join("certificates");
    std::fs::create_dir(&dir).unwrap();
    let mut openssl = world.program("/bin/sh");
    openssl.args(["-c", CERTIFICATES, "sh"]).arg(&dir);
    let _ = finish(openssl, "openssl".into()).await.ok();
    let dir = dir.display().to_string();
    let server = Background::start(python(world, SERVE, &dir), "https");
    let port = |text: &str| text.trim().parse::<u16>().ok();
    let port = server.finds("a port", port).await;
    (server, format!("https://127.0.0.1:{port}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_this_machine_does_not_know_is_told_until_it_does() {
    let world = World::new().await;
    let (_server, url) = https(&world).await;
    let endpoint = ("AWS_ENDPOINT_URL", url.as_str());
    doctor_with(&world, &[endpoint]).await.have((
        "network-unreached",
        "fail",
        "certificate",
        "ca_bundle",
    ));
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let bundle = world.dir().join("certificates/ca.pem");
    let bundle = bundle.display().to_string();
    let trusting = [endpoint, ("AWS_CA_BUNDLE", &bundle)];
    doctor_with(&world, &trusting).await.have((
        "network-reached",
        "ok",
        "AWS answers: https://",
        "",
    ));
}
