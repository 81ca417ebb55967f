//! From one text of a client's settings to the next.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::{
    check::{Answer, Problem, findings},
    *,
};

const COMMAND: &str = "/usr/bin/awsso-mcp";

fn entry() -> Entry {
    Entry {
        command: COMMAND.to_owned(),
        ..Entry::default()
    }
}

fn with_session(session: &str) -> Entry {
    let env = [("AWSSO_SESSION".to_owned(), session.to_owned())];
    Entry {
        env: env.into(),
        ..entry()
    }
}

fn put(client: Client, text: &str) -> String {
    client.put(text, &entry()).unwrap()
}

fn names(client: Client, text: &str) -> Vec<String> {
    let servers = client.servers(text).unwrap().into_iter();
    servers.map(|server| server.name).collect()
}

#[test]
fn an_entry_comes_last_and_looks_like_the_file() {
    let theirs = "\u{feff}{\r\n\t// mine\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {\"url\": \"x\"} // a\r\n\t\t// \"b\": {}\r\n\t}\r\n}";
    let ours = "\u{feff}{\r\n\t// mine\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {\"url\": \"x\"}, // a\r\n\t\t// \"b\": {}\r\n\t\t\"awsso\": {\r\n\t\t\t\"command\": \"/usr/bin/awsso-mcp\",\r\n\t\t\t\"args\": []\r\n\t\t}\r\n\t}\r\n}";
    assert_eq!(put(Client::Cursor, theirs), ours);
    assert_eq!(Client::Cursor.take(ours, "").unwrap(), theirs);
    let theirs = "{\n    \"a\": 1,\n}\n";
    let ours = "{\n    \"a\": 1,\n    \"context_servers\": {\n        \"awsso\": {\n            \"source\": \"custom\",\n            \"command\": \"/usr/bin/awsso-mcp\",\n            \"args\": []\n        }\n    },\n}\n";
    assert_eq!(put(Client::Zed, theirs), ours);
    assert_eq!(
        put(Client::Vscode, r#"{"servers":{"a":{}}}"#),
        r#"{"servers":{"a":{}, "awsso": {"type": "stdio", "command": "/usr/bin/awsso-mcp", "args": []}}}"#
    );
}

#[test]
fn an_entry_that_is_there_keeps_what_else_it_has() {
    let theirs = r#"{"mcpServers": {
  "awsso": { "command": "/old/awsso-mcp", "autoApprove": ["aws_sso_status"], "env": {"AWS_SSO_REGION": "eu-west-1"} },
  "b": {}
}}"#;
    let ours = Client::Cursor.put(theirs, &with_session("corp")).unwrap();
    let expected = theirs
        .replace("/old/", "/usr/bin/")
        .replace(
            "\"eu-west-1\"}",
            "\"eu-west-1\", \"AWSSO_SESSION\": \"corp\"}",
        )
        .replace("\"} }", "\"}, \"args\": [] }");
    assert_eq!(ours, expected);
    let by_url = r#"{"mcpServers": {"awsso": {"url": "http://localhost:3000/mcp"}}}"#;
    let server = Client::Cursor
        .servers(&put(Client::Cursor, by_url))
        .unwrap();
    assert_eq!(server[0].entry, entry());

    let theirs = "[mcp_servers.awsso] # ours\ncommand = '/old/awsso-mcp'\nstartup_timeout_sec = 20\n\n[mcp_servers.awsso.env]\nAWS_SSO_REGION = \"eu-west-1\"\n[b]\n";
    let ours = Client::Codex.put(theirs, &with_session("corp")).unwrap();
    let expected = theirs
        .replace("'/old/awsso-mcp'", "\"/usr/bin/awsso-mcp\"")
        .replace("# ours\n", "# ours\nargs = []\n")
        .replace(".env]\n", ".env]\nAWSSO_SESSION = \"corp\"\n");
    assert_eq!(ours, expected);
    assert_eq!(Client::Codex.take(&ours, "").unwrap(), "[b]\n");
    let ours = Client::Codex
        .put(&put(Client::Codex, ""), &with_session("corp"))
        .unwrap();
    assert_eq!(
        Client::Codex.servers(&ours).unwrap()[0].entry,
        with_session("corp")
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    for (client, text, said) in [
        (
            Client::Cursor,
            "{\n  \"a\": 1\n  \"b\": 2\n}",
            "line 2, column 9: expected comma",
        ),
        (
            Client::Cursor,
            "{\"mcpServers\": []}",
            "line 1, column 16: mcpServers is not an object in braces",
        ),
        (
            Client::Cursor,
            "[]",
            "line 1, column 1: the file is not an object in braces",
        ),
        (
            Client::Cursor,
            "{'a': 1}",
            "line 1, column 2: single-quoted",
        ),
        (Client::Codex, "a = 1\nb = [", "line 2, column "),
        (
            Client::Codex,
            "mcp_servers = 1",
            "line 1, column 15: mcp_servers is not written as a table",
        ),
        (
            Client::Codex,
            "mcp_servers = { a = {} }",
            "not written as a table under a heading",
        ),
        (
            Client::Codex,
            "[mcp_servers]\nawsso = { command = \"x\" }",
            "not written as a table under a heading",
        ),
    ] {
        let refused = client.put(text, &entry()).unwrap_err().to_string();
        assert!(refused.contains(said), "{text}: {refused}");
    }
}

#[test]
fn an_empty_file_and_none_are_the_same() {
    for client in Client::value_variants() {
        let made = put(*client, "");
        assert_eq!(names(*client, &made), [NAME], "{made}");
        assert_eq!(client.take(&made, "").unwrap(), "");
    }
    let comment = "// settings\n";
    let made = put(Client::Zed, comment);
    assert!(
        made.starts_with("// settings\n{\n  \"context_servers\""),
        "{made}"
    );
    assert_eq!(Client::Zed.take(&made, comment).unwrap(), comment);
}

#[test]
fn every_entry_of_ours_goes_and_no_other() {
    let text = r#"{"mcpServers": {"awsso": {"command": "a"}, "x": {}, "awsso": {"command": "b"}}}"#;
    assert_eq!(
        Client::Cursor.take(text, "").unwrap(),
        r#"{"mcpServers": { "x": {}}}"#
    );
    let text = "[a]\n\n[mcp_servers.awsso]\ncommand = 'x'\n# of b\n[b]\n";
    assert_eq!(Client::Codex.take(text, "").unwrap(), "[a]\n# of b\n[b]\n");
}

#[test]
fn each_thing_that_is_wrong_has_its_name_and_its_cure() {
    let problems = |text: &str| {
        let answer = |command: &str| match command {
            "/bin/awsso-mcp" => Answer::Version(awsso_proto::VERSION.to_owned()),
            "/old/awsso-mcp" => Answer::Version("0.0.1".to_owned()),
            "/x/awsso-mcp" => Answer::NotExecutable,
            _ => Answer::Missing,
        };
        let servers = Client::Cursor.servers(text).unwrap();
        let file = Path::new("/home/ann/.cursor/mcp.json");
        let found = findings(Client::Cursor, file, &servers, None, &answer);
        for finding in &found {
            assert!(!finding.message.is_empty() && !finding.cure.is_empty());
        }
        found.into_iter().map(|it| it.problem).collect::<Vec<_>>()
    };
    let servers = |servers: &str| problems(&format!(r#"{{"mcpServers": {{{servers}}}}}"#));
    for (server, expected) in [
        (r#"{"command": "/bin/awsso-mcp"}"#, None),
        (
            r#"{"command": "/old/awsso-mcp"}"#,
            Some(Problem::OtherVersion),
        ),
        (
            r#"{"command": "/x/awsso-mcp"}"#,
            Some(Problem::NotExecutable),
        ),
        (
            r#"{"command": "/gone/awsso-mcp"}"#,
            Some(Problem::MissingProgram),
        ),
        (r#"{"command": "awsso-mcp"}"#, Some(Problem::RelativePath)),
        (
            r#"{"command": "bin/awsso-mcp"}"#,
            Some(Problem::RelativePath),
        ),
        (
            r#"{"command": "npx", "args": ["-y", "awsso-mcp"]}"#,
            Some(Problem::Wrapper),
        ),
        (
            r#"{"command": "cmd", "args": ["/c", "C:\\awsso\\awsso-mcp.exe"]}"#,
            Some(Problem::Wrapper),
        ),
        (r#"{"command": "/bin/cat"}"#, Some(Problem::OtherProgram)),
        (r#"{"url": "http://localhost:3000/mcp"}"#, None),
        (
            r#"{"command": "/bin/awsso-mcp", "disabled": true}"#,
            Some(Problem::SwitchedOff),
        ),
    ] {
        assert_eq!(
            servers(&format!(r#""awsso": {server}"#)),
            Vec::from_iter(expected),
            "{server}"
        );
    }
    let two = r#""awsso": {"command": "/bin/awsso-mcp"}, "aws-sso": {"command": "/bin/awsso-mcp"}"#;
    assert_eq!(servers(two), [Problem::SeveralEntries]);
    let old = r#""aws": {"command": "npx", "args": ["-y", "@aashari/mcp-server-aws-sso"]}"#;
    assert_eq!(servers(old), [Problem::OldServer]);
    assert_eq!(servers(r#""x": {"command": "gone"}"#), []);
}

/// What stands between tokens.
fn trivia() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "",
        "",
        " ",
        "\n",
        "\n  ",
        "\r\n\t",
        "\r\n",
        "/* { , */",
        " // } \"awsso\": {},\n",
        "//\r\n",
    ];
    prop::collection::vec(prop::sample::select(PIECES), 0..3).prop_map(|it| it.concat())
}

/// JSON with comments and trailing commas.
fn jsonc() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(&["null", "true", "-1.5e3", r#""//\"}""#, "\"ä\""][..]);
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(3, 24, 4, |value| {
        let list = (items(value.clone().boxed()), trivia())
            .prop_map(|(items, gap)| format!("[{gap}{items}]"));
        prop_oneof![list, object(value.boxed(), &["a", "b", "awsso"])]
    })
}

fn items(item: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    let item = (item, trivia()).prop_map(|(item, gap)| format!("{item}{gap}"));
    (prop::collection::vec(item, 0..4), trivia(), any::<bool>()).prop_map(|(items, gap, comma)| {
        let comma = if comma && !items.is_empty() { "," } else { "" };
        format!("{}{comma}{gap}", items.join(&format!(",{gap}")))
    })
}

fn object(
    value: BoxedStrategy<String>,
    names: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let member = (prop::sample::select(names), trivia(), value);
    let member = member.prop_map(|(name, gap, value)| format!("\"{name}\"{gap}:{gap}{value}"));
    (items(member.boxed()), trivia()).prop_map(|(items, gap)| format!("{{{gap}{items}}}"))
}

/// Settings, with servers or without, among other things.
fn settings() -> impl Strategy<Value = String> {
    let servers = object(jsonc().boxed(), &["x", "y", "awsso-2"]);
    let servers = servers.prop_map(|it| format!("\"mcpServers\": {it}"));
    let other = jsonc().prop_map(|value| format!("\"other\": {value}"));
    let member = prop_oneof![servers, other];
    let object =
        (items(member.boxed()), trivia()).prop_map(|(items, gap)| format!("{{{gap}{items}}}"));
    (any::<bool>(), trivia(), object, trivia()).prop_map(|(mark, before, object, after)| {
        format!(
            "{}{before}{object}{after}",
            if mark { "\u{feff}" } else { "" }
        )
    })
}

/// What a text means, read by another parser.
fn meaning(text: &str) -> Value {
    let mut plain = String::new();
    let mut rest = text.trim_start_matches('\u{feff}').chars().peekable();
    let mut is_text = false;
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', _) if is_text => plain.extend(['\\'].into_iter().chain(rest.next())),
            ('"', _) => {
                is_text = !is_text;
                plain.push(c);
            }
            ('/', Some('/')) if !is_text => {
                while rest.next_if(|c| !"\r\n".contains(*c)).is_some() {}
            }
            ('/', Some('*')) if !is_text => {
                let mut last = ' ';
                rest.next();
                while let Some(c) = rest.next().filter(|c| (last, *c) != ('*', '/')) {
                    last = c;
                }
            }
            ('}' | ']', _) if !is_text => {
                let end = plain.trim_end().len();
                if plain[..end].ends_with(',') {
                    plain.truncate(end - 1);
                }
                plain.push(c);
            }
            _ => plain.push(c),
        }
    }
    serde_json::from_str(&plain).unwrap_or_else(|error| panic!("{error}: {text:?} → {plain:?}"))
}

/// The same, and no difference between no servers and none.
fn meaning_without_ours(text: &str) -> Value {
    let mut value = meaning(text);
    let root = value.as_object_mut().unwrap();
    if let Some(servers) = root.get_mut("mcpServers").and_then(Value::as_object_mut) {
        servers.remove(NAME);
        if servers.is_empty() {
            root.remove("mcpServers");
        }
    }
    value
}

fn is_subsequence(short: &str, long: &str) -> bool {
    let mut long = long.chars();
    short.chars().all(|c| long.any(|other| other == c))
}

const TABLES: &[&str] = &[
    "# c\n",
    "\n",
    "[a]\nb = '''\n[mcp_servers.awsso]\n'''\n",
    "[[c]]\nd = [\n 1, # x\n]\n",
    "[mcp_servers.e]\ncommand = \"f\" # g\n",
    "[mcp_servers.e.env]\nH = 'i'\n",
    "[a.j]\n",
];

proptest! {
    #[test]
    fn an_entry_in_any_jsonc_changes_nothing_else_and_goes_without_a_trace(text in settings()) {
        let ours = put(Client::Cursor, &text);
        prop_assert!(is_subsequence(&text, &ours), "{ours:?}");
        prop_assert_eq!(&meaning(&ours)["mcpServers"][NAME]["command"], COMMAND);
        prop_assert_eq!(meaning_without_ours(&ours), meaning_without_ours(&text));
        prop_assert_eq!(&put(Client::Cursor, &ours), &ours);
        prop_assert_eq!(&Client::Cursor.take(&ours, &text).unwrap(), &text);

        // Without a backup, too, wherever there were servers.
        let without = Client::Cursor.take(&ours, "?").unwrap();
        prop_assert_eq!(meaning_without_ours(&without), meaning_without_ours(&text));
        if !names(Client::Cursor, &text).is_empty() {
            prop_assert_eq!(without, text);
        }
    }

    #[test]
    fn an_entry_taken_from_anywhere_in_any_jsonc_leaves_the_others(text in settings()) {
        let text = text.replace("\"x\"", "\"awsso\"");
        let without = Client::Cursor.take(&text, "?").unwrap();
        prop_assert_eq!(meaning_without_ours(&without), meaning_without_ours(&text));
        prop_assert!(is_subsequence(&without, &text), "{without:?}");
        prop_assert!(!names(Client::Cursor, &without).contains(&NAME.to_owned()));
    }

    #[test]
    fn an_entry_in_any_toml_changes_nothing_else_and_goes_without_a_trace(
        tables in prop::sample::subsequence(TABLES, 0..=TABLES.len()).prop_shuffle(),
        mark in any::<bool>(), windows in any::<bool>(), ended in any::<bool>(),
    ) {
        let mut text = tables.concat();
        if !ended { text.truncate(text.trim_end().len()); }
        if windows { text = text.replace('\n', "\r\n"); }
        if mark { text.insert(0, '\u{feff}'); }
        let ours = put(Client::Codex, &text);
        prop_assert!(ours.starts_with(&text), "{ours:?}");
        prop_assert!(names(Client::Codex, &ours).contains(&NAME.to_owned()));
        prop_assert_eq!(&put(Client::Codex, &ours), &ours);
        prop_assert_eq!(&Client::Codex.take(&ours, &text).unwrap(), &text);
        let without = Client::Codex.take(&ours, "?").unwrap();
        if ended {
            prop_assert_eq!(without, text);
        }
    }
}
