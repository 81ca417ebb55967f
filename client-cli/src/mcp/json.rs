//! Servers in a JSON file: one object, in it one member each. Pure.

use jsonc_parser::ast::{Object, Value};

use super::{
    Entry, NAME, Server, Unreadable,
    jsonc::{self, Document, Node},
};

/// How a client's file differs from that of others.
pub struct Form {
    /// The member that holds the servers.
    pub servers: &'static str,
    /// What each of them must say of itself.
    pub fixed: Option<(&'static str, &'static str)>,
}

impl Form {
    pub fn servers(&self, text: &str) -> Result<Vec<Server>, Unreadable> {
        let document = Document::parse(text)?;
        let servers = document.members(&[self.servers])?;
        Ok(servers
            .into_iter()
            .map(|(name, value)| server(name, value))
            .collect())
    }

    pub fn put(&self, text: &str, entry: &Entry) -> Result<String, Unreadable> {
        let ours = [self.servers, NAME];
        let there = self.servers(text)?;
        let there = there.iter().rfind(|server| server.name == NAME);
        if there.is_none_or(|there| there.entry.command.is_empty()) {
            return jsonc::set(text, &ours, &self.node(entry));
        }
        let path = |rest: &[&'static str]| [&ours[..], rest].concat();
        let mut text = jsonc::set(
            text,
            &path(&["command"]),
            &Node::Text(entry.command.clone()),
        )?;
        text = jsonc::set(&text, &path(&["args"]), &Node::List(entry.args.clone()))?;
        for (name, value) in &entry.env {
            let path = [self.servers, NAME, "env", name];
            text = jsonc::set(&text, &path, &Node::Text(value.clone()))?;
        }
        Ok(text)
    }

    pub fn take(&self, text: &str) -> Result<String, Unreadable> {
        jsonc::unset(text, &[self.servers, NAME])
    }

    fn node(&self, entry: &Entry) -> Node {
        let text = |text: &str| Node::Text(text.to_owned());
        let fixed = self
            .fixed
            .map(|(name, value)| (name.to_owned(), text(value)));
        let mut members: Vec<_> = fixed.into_iter().collect();
        members.push(("command".to_owned(), text(&entry.command)));
        members.push(("args".to_owned(), Node::List(entry.args.clone())));
        if !entry.env.is_empty() {
            let env = entry
                .env
                .iter()
                .map(|(name, value)| (name.clone(), text(value)));
            members.push(("env".to_owned(), Node::Members(env.collect())));
        }
        Node::Members(members)
    }
}

fn server(name: &str, value: &Value<'_>) -> Server {
    let object = value.as_object();
    let get = |name: &str| object.and_then(|object| member(object, name));
    let args = get("args").and_then(Value::as_array);
    let env = get("env").and_then(Value::as_object);
    let text = |value: &Value<'_>| Some(value.as_string_lit()?.value.to_string());
    let is = |name: &str, wanted: bool| {
        get(name)
            .and_then(Value::as_boolean_lit)
            .is_some_and(|it| it.value == wanted)
    };
    Server {
        name: name.to_owned(),
        entry: Entry {
            command: get("command").and_then(text).unwrap_or_default(),
            args: args
                .into_iter()
                .flat_map(|args| &args.elements)
                .filter_map(text)
                .collect(),
            env: env
                .into_iter()
                .flat_map(|env| &env.properties)
                .filter_map(|it| Some((it.name.as_str().to_owned(), text(&it.value)?)))
                .collect(),
        },
        is_off: is("disabled", true) || is("enabled", false),
    }
}

/// As every client reads it: of two members of one name the last counts.
fn member<'o, 'a>(object: &'o Object<'a>, name: &str) -> Option<&'o Value<'a>> {
    let mut members = object.properties.iter();
    Some(&members.rfind(|it| it.name.as_str() == name)?.value)
}
