//! An agent that has commands run which print all that they hold: no secret is
//! in any byte that it gets, in no usual encoding. The person sees everything.

use awsso_e2e::{
    Shim, World, bin,
    known::{ADMIN, LINUX, PRODUCTION},
    sandbox::Sandbox,
};
use awsso_proto::v1::{
    ClientKind, OutputStream, QueryOutputRequest, ReadOutputRequest, query_output_request::Query,
};
use base64::Engine as _;
use serde_json::{Value, json};

/// What a program could do with its environment without meaning harm.
const PRINTS_ALL: &str = r#"
env
env >&2
env | base64
env | base64 -w 0
printf %s "$AWS_SECRET_ACCESS_KEY" | base64
for secret in "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN"; do
  printf '{"key": "%s", "link": "https://x.example/?t=%s"}\n' "$secret" "$(printf %s "$secret" | sed 's,/,%2F,g; s,+,%2B,g')"
  # One word in many writes, far enough from each other to be read one by one.
  for part in $(printf %s "$secret" | fold -w 15); do printf %s "$part"; sleep 0.02; done
  echo; printf %s "$secret" | fold -w 30; echo
done
echo "the end of account $AWS_ACCESS_KEY_ID"
"#;

/// All that the sandbox has ever issued.
struct Canary(Vec<String>);

impl Canary {
    fn of(sandbox: &Sandbox) -> Self {
        let secrets = sandbox.issued_secrets();
        // Client, code, tokens, keys.
        assert!(secrets.len() >= 6, "{}", secrets.len());
        Self(secrets)
    }

    fn is_in(&self, text: &str) -> bool {
        let readings = readings(text.as_bytes());
        let there = |secret: &String| readings.iter().any(|text| has(text, secret.as_bytes()));
        self.0.iter().any(there)
    }

    #[track_caller]
    fn is_not_in(&self, text: &str) {
        assert!(!self.is_in(text), "{text}");
        // Most of a secret is a secret.
        for secret in &self.0 {
            let half = &secret.as_bytes()[..secret.len() / 2];
            assert!(!has(text.as_bytes(), half), "half of one: {text}");
        }
    }
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// A text as it is, without its line breaks, without its escapes, and each
/// word of it that could be Base64.
fn readings(text: &[u8]) -> Vec<Vec<u8>> {
    let joined: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'\n').collect();
    let unescaped = String::from_utf8_lossy(&joined)
        .replace("%2F", "/")
        .replace("%2B", "+")
        .replace("\\n", "");
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let mut readings = vec![text.to_vec(), joined, unescaped.into_bytes()];
    for at in 0..readings.len() {
        let words = readings[at].split(|byte| !base64(byte));
        let words: Vec<_> = words.filter(|word| word.len() >= 16).collect();
        let decoded = words.iter().flat_map(|word| {
            (0..4).filter_map(|from| {
                let word = &word[from..];
                let word = &word[..word.len() / 4 * 4];
                base64::engine::general_purpose::STANDARD.decode(word).ok()
            })
        });
        let decoded: Vec<_> = decoded.collect();
        readings.extend(decoded);
    }
    readings
}

async fn shim_with_aws(world: &World, script: &str) -> Shim {
    let mut command = world.program(bin("awsso-mcp"));
    command.env("PATH", world.path_with_aws(script));
    Shim::legacy(command).await
}

fn exec(command: &str) -> Value {
    json!({"accountId": PRODUCTION, "roleName": ADMIN, "command": command, "maxChars": 100_000})
}

/// As the last line of an answer names it.
fn output_id(answer: &str) -> &str {
    let id = answer.rsplit_once(" | outputId ").unwrap().1;
    id.split([' ', ']']).next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_an_agent_whatever_a_command_prints_and_the_person_sees_it_all() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let mut shim = shim_with_aws(&world, PRINTS_ALL).await;
    let answer = shim
        .call("aws_sso_exec_command", exec("aws ec2 describe-vpcs"))
        .await;
    let canary = Canary::of(&world.sandbox);
    let text = answer.ok();
    canary.is_not_in(text);
    // What is no secret is there, and so is all that stands around one.
    for plain in [
        "AWS_REGION=eu-west-1",
        "[stderr]",
        "the end of account ASIA",
        "AWS_SECRET_ACCESS_KEY=****",
    ] {
        assert!(text.contains(plain), "no {plain:?} in {text}");
    }

    let jobs = world.awsso(&["jobs", "list", "--json"]).await.json();
    let id = jobs["jobs"][0]["id"].as_str().unwrap();
    let person = world.awsso(&["jobs", "output", id]).await.code(0);
    assert!(canary.is_in(&person.stdout) && canary.is_in(&person.stderr));
    let seen = world
        .fake_aws(PRINTS_ALL)
        .run("aws ec2 describe-vpcs")
        .await
        .code(0);
    assert!(canary.is_in(&seen.stdout) && canary.is_in(&seen.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_an_answer_over_http_has_a_secret_in_it() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let mut command = world.program(bin("awsso-mcp"));
    command
        .env("PATH", world.path_with_aws(PRINTS_ALL))
        .env("TRANSPORT_MODE", "http")
        .env("PORT", "0");
    let http = world.http_shim_with(command).await;
    let bytes = async |id, tool: &str, arguments| {
        let bytes = http.bytes(id, tool, arguments).await;
        String::from_utf8(bytes).unwrap()
    };
    let ran = bytes(1, "aws_sso_exec_command", exec("aws ec2 describe-vpcs")).await;
    let (_, id) = ran.split_once(" | outputId ").unwrap();
    let id = id.split([' ', ']']).next().unwrap();
    let read = bytes(
        2,
        "aws_sso_output",
        json!({"outputId": id, "maxChars": 100_000}),
    )
    .await;
    let found = bytes(3, "aws_sso_output", json!({"outputId": id, "grep": "AWS_"})).await;
    // What a command that fails at once says of itself is an answer, too.
    let failed = bytes(4, "aws_sso_exec_command", exec("aws s3 ls --profile x")).await;
    let canary = Canary::of(&world.sandbox);
    for answer in [&ran, &read, &found, &failed] {
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        canary.is_not_in(answer);
        assert!(
            !answer.contains(&http.token),
            "the token comes back: {answer}"
        );
    }
    for (answer, plain) in [
        (&ran, "AWS_REGION=eu-west-1"),
        (&ran, "the end of account ASIA"),
        (&read, "AWS_SECRET_ACCESS_KEY=****"),
        (&found, "AWS_SESSION_TOKEN=****"),
        (&failed, "--profile"),
    ] {
        assert!(answer.contains(plain), "no {plain:?} in {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_question_about_an_output_brings_a_secret_out() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let print =
        r#"printf '{"a": "%s", "b": "%s"}\n' "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN""#;
    let mut shim = shim_with_aws(&world, print).await;
    let answer = shim
        .call("aws_sso_exec_command", exec("aws ec2 describe-vpcs"))
        .await;
    let output_id = output_id(answer.ok());
    let canary = Canary::of(&world.sandbox);
    let ask = async |kind, query: Query| {
        let client = world.connect(kind).await;
        let mut request = QueryOutputRequest {
            output_id: output_id.to_owned(),
            query: Some(query),
            ..QueryOutputRequest::default()
        };
        request.set_stream(OutputStream::Stdout);
        let answer = client.jobs().query_output(request).await.unwrap();
        String::from_utf8(answer.into_inner().data).unwrap()
    };
    for query in [
        Query::Tail(1),
        Query::Grep("a".to_owned()),
        Query::Jq(".".to_owned()),
        Query::Jq(".a, .b | explode | map(. - 1) | map(. + 1) | implode".to_owned()),
        Query::Jq("map_values(@base64)".to_owned()),
        Query::Jq(".b[1:]".to_owned()),
    ] {
        let seen = ask(ClientKind::Shim, query.clone()).await;
        assert!(!seen.is_empty(), "{query:?}");
        canary.is_not_in(&seen);
        assert!(!ask(ClientKind::Cli, query).await.contains("***"));
    }

    // Wherever an agent reads on, it sees the same.
    let agent = world.connect(ClientKind::Shim).await;
    let read = async |offset, max_bytes| {
        let mut request = ReadOutputRequest {
            output_id: output_id.to_owned(),
            offset,
            max_bytes,
            ..ReadOutputRequest::default()
        };
        request.set_stream(OutputStream::Stdout);
        agent
            .jobs()
            .read_output(request)
            .await
            .unwrap()
            .into_inner()
    };
    let whole = read(0, 0).await;
    canary.is_not_in(&String::from_utf8_lossy(&whole.data));
    assert_eq!(whole.total_bytes, whole.data.len() as u64);
    for (at, byte) in whole.data.iter().enumerate().step_by(7) {
        assert_eq!(read(at as u64, 1).await.data, [*byte]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_instance_prints_is_masked_too() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let target = ["--account", PRODUCTION, "--role", ADMIN];
    let keys = world
        .awsso(&[&["credential-process"], &target[..]].concat())
        .await
        .json();
    let key = keys["SecretAccessKey"].as_str().unwrap();
    let mut shim = world.modern_shim();
    let mut command = exec(&format!("echo begins {key}; echo {key} >&2; echo ends"));
    command["instanceId"] = LINUX.into();
    let answer = shim.call("aws_sso_ec2_exec_command", command).await;
    let canary = Canary::of(&world.sandbox);
    canary.is_not_in(answer.ok());
    let hidden = "*".repeat(key.len());
    let shown = format!("begins {hidden}\nends\n[stderr]\n{hidden}\n");
    assert!(answer.ok().starts_with(&shown), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_replaced_or_logged_out_is_masked_still() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let mut shim = shim_with_aws(&world, "env").await;
    let answer = shim
        .call("aws_sso_exec_command", exec("aws ec2 describe-vpcs"))
        .await;
    let output_id = output_id(answer.ok());
    let canary = Canary::of(&world.sandbox);
    let _ = world.awsso(&["logout", "--all"]).await.code(0);
    let agent = world.connect(ClientKind::Shim).await;
    let mut request = ReadOutputRequest {
        output_id: output_id.to_owned(),
        ..ReadOutputRequest::default()
    };
    request.set_stream(OutputStream::Stdout);
    let seen = agent
        .jobs()
        .read_output(request)
        .await
        .unwrap()
        .into_inner();
    let seen = String::from_utf8(seen.data).unwrap();
    assert!(seen.contains("AWS_REGION=eu-west-1"));
    canary.is_not_in(&seen);
}
