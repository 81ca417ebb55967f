//! `awsso mcp`: what it writes is what other parsers read and another client starts;
//! everything else in a file stays as it is. And the bundle for Claude Desktop.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use awsso_e2e::{World, bin, finish};
use serde_json::{Value, json};

/// A client, its settings in the home, their form and member, and what stands there.
struct Settings {
    client: &'static str,
    path: &'static str,
    form: &'static str,
    servers: &'static str,
    text: &'static str,
}

const CLIENTS: [Settings; 9] = [
    Settings {
        client: "claude-desktop",
        path: ".config/Claude/claude_desktop_config.json",
        form: "json",
        servers: "mcpServers",
        text: "{}",
    },
    Settings {
        client: "claude-code",
        path: ".claude.json",
        form: "json",
        servers: "mcpServers",
        text: "{\n  \"numStartups\": 7,\n  \"mcpServers\": {},\n  \"projects\": {\"/a\": {\"mcpServers\": {\"awsso\": {}}}}\n}",
    },
    Settings {
        client: "cursor",
        path: ".cursor/mcp.json",
        form: "json",
        servers: "mcpServers",
        text: "{\"mcpServers\":{\"github\":{\"url\":\"https://example.com/mcp\"}}}",
    },
    Settings {
        client: "vscode",
        path: ".config/Code/User/mcp.json",
        form: "jsonc",
        servers: "servers",
        text: "{\r\n\t\"inputs\": [], // none\r\n\t\"servers\": {\r\n\t\t/* \"awsso\": {} */\r\n\t},\r\n}\r\n",
    },
    Settings {
        client: "continue",
        path: ".continue/mcpServers/awsso.json",
        form: "json",
        servers: "mcpServers",
        text: "",
    },
    Settings {
        client: "zed",
        path: ".config/zed/settings.json",
        form: "jsonc",
        servers: "context_servers",
        text: "\u{feff}// Zed settings\n{\n    \"theme\": \"One Dark\", // mine\n    // \"vim_mode\": true,\n}\n",
    },
    Settings {
        client: "windsurf",
        path: ".codeium/windsurf/mcp_config.json",
        form: "json",
        servers: "mcpServers",
        text: "{ \"mcpServers\": { } }",
    },
    Settings {
        client: "codex",
        path: ".codex/config.toml",
        form: "toml",
        servers: "mcp_servers",
        text: "model = 'o5' # mine\r\n\r\n[mcp_servers.other]\r\ncommand = \"x\"\r\n[tui]\r\na=1",
    },
    Settings {
        client: "gemini",
        path: ".gemini/settings.json",
        form: "json",
        servers: "mcpServers",
        text: "{\n    \"security\": {\n        \"auth\": {}\n    }\n}\n",
    },
];

impl Settings {
    fn file(&self, world: &World) -> PathBuf {
        world.home().join(self.path)
    }

    /// As the client leaves them on its own.
    fn write(&self, world: &World) {
        match self.text {
            "" => fs::create_dir_all(world.home().join(".continue")).unwrap(),
            text => world.write(self.path, text),
        }
    }
}

fn of(client: &str) -> &'static Settings {
    CLIENTS.iter().find(|it| it.client == client).unwrap()
}

async fn change(world: &World, args: &[&str]) -> bool {
    let args = [&["mcp"], args, &["--json"]].concat();
    world.awsso(&args).await.code(0).json()["changed"] == true
}

/// How a client stands, as `awsso mcp list` sees it.
async fn listed(world: &World, client: &str) -> Value {
    let list = world.awsso(&["mcp", "list", "--json"]).await.code(0).json();
    let clients = list["clients"].as_array().unwrap();
    assert_eq!(clients.len(), CLIENTS.len());
    let found = clients.iter().find(|it| it["client"] == client);
    found.unwrap().clone()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_started_from_each_file_that_was_written_lists_the_tools() {
    let world = World::new().await;
    for settings in &CLIENTS {
        settings.write(&world);
        let client = settings.client;
        assert!(change(&world, &["install", client, "--session", "corp"]).await);
        let written = fs::read(settings.file(&world)).unwrap();
        assert!(!change(&world, &["install", client]).await, "{client}");
        assert_eq!(fs::read(settings.file(&world)).unwrap(), written);
    }
    let files = CLIENTS.each_ref().map(|it| it.file(&world));
    let settings: Vec<_> = CLIENTS
        .iter()
        .zip(&files)
        .map(|(it, file)| (it.form, it.servers, file.as_path()))
        .collect();
    let started = world.started_from(&settings).await;
    assert_eq!(started.len(), CLIENTS.len());
    for (settings, started) in CLIENTS.iter().zip(&started) {
        let tools = started["tools"].as_array().unwrap();
        assert!(tools.contains(&"aws_sso_login".into()), "{started}");
        let entry = &started["entry"];
        assert_eq!(entry["command"], bin("awsso-mcp").to_str().unwrap());
        assert_eq!(entry["args"], json!([]));
        assert_eq!(entry["env"], json!({"AWSSO_SESSION": "corp"}));
        let fixed = match settings.client {
            "claude-code" | "vscode" => ("type", json!("stdio")),
            "zed" => ("source", json!("custom")),
            _ => ("type", Value::Null),
        };
        assert_eq!(entry[fixed.0], fixed.1, "{}", settings.client);
        let listed = listed(&world, settings.client).await;
        assert_eq!(listed["configured"], true, "{listed}");
        assert_eq!(listed["findings"], json!([]), "{listed}");
    }
    for settings in &CLIENTS {
        assert!(change(&world, &["remove", settings.client]).await);
        assert!(!change(&world, &["remove", settings.client]).await);
        let left = fs::read_to_string(settings.file(&world)).unwrap_or_default();
        assert_eq!(left, settings.text, "{}", settings.client);
    }
    assert!(!of("continue").file(&world).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_file_its_mode_and_its_symlink_stay() {
    let world = World::new().await;
    let zed = of("zed");
    let real = world.dir().join("dotfiles.json");
    fs::write(&real, zed.text).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    let file = zed.file(&world);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    symlink(&real, &file).unwrap();

    let shown = world.awsso(&["mcp", "install", "zed", "--dry-run"]).await;
    let shown = shown.code(0).says("awsso would be added").stdout;
    assert!(shown.contains("\n+    \"context_servers\": {\n"), "{shown}");
    assert!(!shown.contains("\n-"), "{shown}");
    assert_eq!(fs::read_to_string(&real).unwrap(), zed.text);

    // What a shell knows, a client that the desktop starts does not.
    let install = ["mcp", "install", "zed"];
    let _ = world
        .awsso(&install)
        .await
        .code(0)
        .says("Restart Zed")
        .says("AWS_SSO_START_URL is known in this shell only");
    assert!(file.is_symlink());
    assert_eq!(mode(&real), 0o640);
    let backup = file.with_file_name("settings.json.awsso-backup");
    assert_eq!(fs::read_to_string(&backup).unwrap(), zed.text);
    assert_eq!(mode(&backup), 0o600);
    let url = format!("AWS_SSO_START_URL={}", world.sandbox.start_url());
    let named = [&install[..], &["--env", &url]].concat();
    let named = world.awsso(&named).await.code(0);
    assert!(!named.stderr.contains("only"), "{named:?}");
    assert!(change(&world, &["remove", "zed"]).await);
    let left = fs::read_to_string(&real).unwrap();
    assert!(left.starts_with(zed.text.trim_end_matches("}\n")), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_left_alone_and_its_place_is_told() {
    let world = World::new().await;
    for (client, broken, place) in [
        (
            "cursor",
            &b"{\n  \"mcpServers\": {,}\n}"[..],
            "line 2, column 18: ",
        ),
        (
            "cursor",
            b"{\"mcpServers\": [1]}",
            "line 1, column 16: mcpServers is not an object",
        ),
        ("cursor", b"{\"a\": \"\xe9\"}", "it is not UTF-8"),
        ("codex", b"a = 1\n[b\n", "line 2, column "),
    ] {
        let file = of(client).file(&world);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, broken).unwrap();
        for command in ["install", "remove"] {
            let run = world.awsso(&["mcp", command, client]).await.code(2);
            let _ = run.says(place).says("nothing was written");
        }
        assert_eq!(fs::read(&file).unwrap(), broken);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
        let listed = listed(&world, client).await;
        assert_eq!(
            listed["findings"][0]["problem"], "unreadableFile",
            "{listed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_not_there_gets_no_file_unless_a_person_insists() {
    let world = World::new().await;
    let file = of("windsurf").file(&world);
    let install = ["mcp", "install", "windsurf"];
    let _ = world
        .awsso(&install)
        .await
        .code(1)
        .says("Windsurf does not seem to be installed")
        .says("--force");
    assert!(!file.exists());
    let _ = world
        .awsso(&[&install[..], &["--force"]].concat())
        .await
        .code(0);
    assert_eq!(mode(&file), 0o600);
    let _ = world.awsso(&["mcp", "install", "notepad"]).await.code(2);
    let secret = [
        "mcp",
        "install",
        "windsurf",
        "--env",
        "AWS_SECRET_ACCESS_KEY=x",
    ];
    let _ = world.awsso(&secret).await.code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_what_is_wrong_and_what_helps() {
    let world = World::new().await;
    let gone = world.dir().join("gone/awsso-mcp");
    let other = world.dir().join("other/awsso-mcp");
    let plain = world.dir().join("plain/awsso-mcp");
    for (program, mode) in [(&other, 0o755), (&plain, 0o644)] {
        fs::create_dir(program.parent().unwrap()).unwrap();
        fs::write(program, "#!/bin/sh\necho awsso-mcp 0.0.1\n").unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(mode)).unwrap();
    }
    for (program, problem) in [
        (&gone, "missingProgram"),
        (&other, "otherVersion"),
        (&plain, "notExecutable"),
    ] {
        let servers = json!({"mcpServers": {"awsso": {"command": program, "args": []}}});
        world.write(of("cursor").path, &servers.to_string());
        let listed = listed(&world, "cursor").await;
        assert_eq!(listed["findings"][0]["problem"], problem, "{listed}");
        assert_eq!(listed["findings"][0]["cure"], "awsso mcp install cursor");
    }
    let old = r#"{"mcpServers": {"aws": {"command": "npx", "args": ["-y", "@aashari/mcp-server-aws-sso"]}}}"#;
    world.write(of("gemini").path, old);
    world.write(
        ".continue/config.yaml",
        "mcpServers:\n  - args: [\"@aashari/mcp-server-aws-sso\"]\n",
    );
    let list = world.awsso(&["mcp", "list"]).await.code(0);
    for said in ["cursor", "see below", "not installed"] {
        assert!(list.stdout.contains(said), "{list:?}");
    }
    let list = list
        .says("Gemini CLI (aws): @aashari/mcp-server-aws-sso is still there")
        .says("config.yaml");
    assert!(
        list.stderr.lines().all(|line| line.contains("To do: ")),
        "{list:?}"
    );

    assert!(change(&world, &["install", "cursor"]).await);
    assert_eq!(listed(&world, "cursor").await["findings"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_names_a_path_that_outlives_an_update() {
    let world = World::new().await;
    of("cursor").write(&world);
    let cellar = world.dir().join("Cellar/awsso/0.1.0/bin");
    let links = world.dir().join("bin");
    fs::create_dir_all(&cellar).unwrap();
    fs::create_dir(&links).unwrap();
    let copy = |name: &str| {
        let copy = cellar.join(name);
        let linked = fs::hard_link(bin(name), &copy);
        linked
            .or_else(|_| fs::copy(bin(name), &copy).map(drop))
            .unwrap();
        symlink(&copy, links.join(name)).unwrap();
    };
    copy("awsso");
    let mut install = world.program(cellar.join("awsso"));
    install
        .args(["mcp", "install", "cursor"])
        .env("PATH", &links);
    let missing = finish(install, "install".into()).await.code(1);
    let _ = missing.says("awsso-mcp is not there").says("in one folder");

    copy("awsso-mcp");
    let mut install = world.program(links.join("awsso"));
    install
        .args(["mcp", "install", "cursor"])
        .env("PATH", &links);
    let _ = finish(install, "install".into()).await.code(0);
    let command = listed(&world, "cursor").await["command"].clone();
    assert_eq!(command, links.join("awsso-mcp").to_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundle_starts_and_its_manifest_names_the_tools_that_are_there() {
    let world = World::new().await;
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/mcpb/bundle");
    let bundle = world.dir().join("awsso.mcpb");
    let mut make = world.program(packaging);
    make.arg("--binaries").arg(bin("awssod").parent().unwrap());
    make.arg("--output").arg(&bundle);
    let _ = finish(make, "bundle".into()).await.code(0);

    let unpacked = world.dir().join("unpacked");
    let mut unpack = world.program("python3");
    unpack
        .args(["-m", "zipfile", "--extract"])
        .arg(&bundle)
        .arg(&unpacked);
    let _ = finish(unpack, "zipfile".into()).await.code(0);
    // Python's own does not set modes; a host does.
    for program in ["awsso-mcp", "awssod"] {
        let program = unpacked.join("server").join(program);
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let manifest = unpacked.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["version"], awsso_proto::VERSION);
    assert_eq!(document["compatibility"]["platforms"], json!(["linux"]));
    let program = unpacked.join(document["server"]["entry_point"].as_str().unwrap());
    assert!(program.is_file());

    let started = world.started_from(&[("mcpb", "", &manifest)]).await;
    let told: Vec<_> = document["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["name"])
        .collect();
    let there: Vec<_> = started[0]["tools"].as_array().unwrap().iter().collect();
    assert_eq!(told, there);
    // Nothing that a person left empty has become a session of that name.
    let sessions = &started[0]["status"]["sessions"];
    assert_eq!(sessions.as_array().unwrap().len(), 0, "{sessions}");
}
