//! Servers in a TOML file, as Codex keeps them: one table `[mcp_servers.NAME]`
//! each. Ours is put in or taken out as lines; everything else stays byte for
//! byte. Pure.

use std::ops::Range;

use toml_edit::{Document, Item, Table, TomlError, Value};

use super::{Entry, NAME, Server, Unreadable};

const SERVERS: &str = "mcp_servers";

/// Every server in the file.
pub fn servers(text: &str) -> Result<Vec<Server>, Unreadable> {
    let file = File::parse(text)?;
    let Some(servers) = file.document.get(SERVERS) else {
        return Ok(Vec::new());
    };
    let servers = servers.as_table_like().ok_or_else(|| {
        let what = format!("{SERVERS} is not a table");
        Unreadable::at(file.text, servers.span().map_or(0, |span| span.start), what)
    })?;
    Ok(servers
        .iter()
        .map(|(name, item)| server(name, item))
        .collect())
}

fn server(name: &str, item: &Item) -> Server {
    let get = |key: &str| item.as_table_like().and_then(|table| table.get(key));
    let args = get("args").and_then(Item::as_array).into_iter().flatten();
    let env = get("env").and_then(Item::as_table_like);
    Server {
        name: name.to_owned(),
        entry: Entry {
            command: get("command")
                .and_then(Item::as_str)
                .unwrap_or_default()
                .to_owned(),
            args: args.filter_map(Value::as_str).map(str::to_owned).collect(),
            env: env
                .into_iter()
                .flat_map(|env| env.iter())
                .filter_map(|(key, value)| Some((key.to_owned(), value.as_str()?.to_owned())))
                .collect(),
        },
        is_off: get("enabled").and_then(Item::as_bool) == Some(false),
    }
}

/// The text with our entry as this one; what else the entry has stays.
pub fn put(text: &str, entry: &Entry) -> Result<String, Unreadable> {
    let file = File::parse(text)?;
    let new = match file.ours()? {
        Some((table, header)) => file.changed(table, &header, entry)?,
        None => file.appended(entry),
    };
    // A file whose `mcp_servers` is written in another form does not take a table.
    match Document::parse(new.as_str()) {
        Ok(_) => Ok(new),
        Err(_) => Err(file.other_form(SERVERS)),
    }
}

/// The text without our entry.
pub fn take(text: &str) -> Result<String, Unreadable> {
    let file = File::parse(text)?;
    let Some((table, header)) = file.ours()? else {
        return Ok(text.to_owned());
    };
    let mut blocks = vec![file.block(table, &header)];
    for (_, item) in table {
        if let Some((table, header)) = item.as_table().and_then(|it| Some((it, it.span()?)))
            && !table.is_dotted()
        {
            blocks.push(file.block(table, &header));
        }
    }
    blocks.sort_by_key(|block| block.start);
    let mut new = file.text.to_owned();
    for block in blocks.into_iter().rev() {
        let start = match new[..block.start].strip_suffix(file.newline) {
            // The empty line that we put before it; of two, one stays between what is left.
            Some(before) if before.is_empty() || before.ends_with('\n') => before.len(),
            Some(_) | None => block.start,
        };
        new.replace_range(start..block.end, "");
    }
    match Document::parse(new.as_str()) {
        Ok(_) => Ok(new),
        Err(_) => Err(file.other_form(&format!("{SERVERS}.{NAME}"))),
    }
}

struct File<'a> {
    text: &'a str,
    document: Document<&'a str>,
    newline: &'static str,
}

impl<'a> File<'a> {
    fn parse(text: &'a str) -> Result<Self, Unreadable> {
        let document = Document::parse(text).map_err(|error: TomlError| {
            let place = error.span().map_or(0, |span| span.start);
            Unreadable::at(text, place, error.message().to_owned())
        })?;
        Ok(Self {
            text,
            document,
            newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
        })
    }

    /// The table of our entry, and its heading.
    fn ours(&self) -> Result<Option<(&Table, Range<usize>)>, Unreadable> {
        let servers = self.document.get(SERVERS).and_then(Item::as_table_like);
        let Some(item) = servers.and_then(|servers| servers.get(NAME)) else {
            return Ok(None);
        };
        let table = item
            .as_table()
            .filter(|it| !it.is_dotted() && !it.is_implicit());
        let found = table.and_then(|table| Some((table, table.span()?)));
        let is_header = |it: &(&Table, Range<usize>)| self.text[it.1.clone()].starts_with('[');
        match found.filter(is_header) {
            Some(found) => Ok(Some(found)),
            None => Err(self.other_form(&format!("{SERVERS}.{NAME}"))),
        }
    }

    fn other_form(&self, name: &str) -> Unreadable {
        let place = self.document.get(SERVERS).and_then(Item::span);
        let what = format!("{name} is not written as a table under a heading [{SERVERS}.{NAME}]");
        Unreadable::at(self.text, place.map_or(0, |span| span.start), what)
    }

    fn appended(&self, entry: &Entry) -> String {
        let newline = self.newline;
        let mut new = self.text.to_owned();
        if !new.is_empty() {
            let lines = if new.ends_with('\n') { 1 } else { 2 };
            new.push_str(&newline.repeat(lines));
        }
        let header = format!("[{SERVERS}.{NAME}]");
        let values = values(entry).map(|(key, value)| format!("{key} = {value}"));
        let env = (!entry.env.is_empty()).then(|| format!("env = {}", inline(&entry.env)));
        for line in [header].into_iter().chain(values).chain(env) {
            new.push_str(&line);
            new.push_str(newline);
        }
        new
    }

    /// The same table with other values.
    fn changed(
        &self,
        table: &Table,
        header: &Range<usize>,
        entry: &Entry,
    ) -> Result<String, Unreadable> {
        let mut edits = Vec::new();
        for (key, value) in values(entry) {
            self.set(table, header, key, value, &mut edits);
        }
        if !entry.env.is_empty() {
            match table.get("env") {
                Some(Item::Table(env)) if !env.is_dotted() => {
                    let header = env.span().ok_or_else(|| self.other_form("env"))?;
                    for (key, value) in &entry.env {
                        self.set(env, &header, key, written(value), &mut edits);
                    }
                }
                Some(Item::Table(_)) => return Err(self.other_form("env")),
                Some(_) | None => {
                    let mut env = server(NAME, &Item::Table(table.clone())).entry.env;
                    env.extend(entry.env.clone());
                    self.set(table, header, "env", inline(&env), &mut edits);
                }
            }
        }
        edits.sort_by_key(|(range, _)| range.start);
        let mut new = self.text.to_owned();
        for (range, with) in edits.into_iter().rev() {
            new.replace_range(range, &with);
        }
        Ok(new)
    }

    fn set(
        &self,
        table: &Table,
        header: &Range<usize>,
        key: &str,
        value: String,
        edits: &mut Vec<(Range<usize>, String)>,
    ) {
        let there = table.get(key).and_then(Item::as_value);
        if let Some((there, span)) = there.and_then(|it| Some((it, it.span()?))) {
            if !same(there, &value) {
                edits.push((span, value));
            }
            return;
        }
        let end = self.end_of_line(header.end);
        let newline = self.newline;
        let gap = if self.text[..end].ends_with('\n') {
            ""
        } else {
            newline
        };
        let key = written_key(key);
        edits.push((end..end, format!("{gap}{key} = {value}{newline}")));
    }

    /// The lines from a heading to the last value below it.
    fn block(&self, table: &Table, header: &Range<usize>) -> Range<usize> {
        let mut values = table
            .get_values()
            .into_iter()
            .filter_map(|(_, value)| value.span());
        let end = values
            .by_ref()
            .map(|span| span.end)
            .max()
            .unwrap_or(header.end);
        header.start..self.end_of_line(end)
    }

    fn end_of_line(&self, place: usize) -> usize {
        let end = self.text[place..].find('\n');
        end.map_or(self.text.len(), |end| place + end + 1)
    }
}

fn values(entry: &Entry) -> [(&'static str, String); 2] {
    let args: Vec<_> = entry.args.iter().map(|arg| written(arg)).collect();
    [
        ("command", written(&entry.command)),
        ("args", format!("[{}]", args.join(", "))),
    ]
}

fn inline<'e>(env: impl IntoIterator<Item = (&'e String, &'e String)>) -> String {
    let members = env
        .into_iter()
        .map(|(key, value)| format!("{} = {}", written_key(key), written(value)));
    let members: Vec<_> = members.collect();
    format!("{{ {} }}", members.join(", "))
}

fn written_key(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else {
        written(key)
    }
}

/// A basic string. JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
fn written(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}

fn same(there: &Value, value: &str) -> bool {
    let parsed: Option<Document<String>> = Document::parse(format!("v = {value}")).ok();
    let value = parsed.as_ref().and_then(|it| it.get("v")?.as_value());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let list = |value: &Value| -> Option<Vec<_>> { value.as_array()?.iter().map(text).collect() };
    value.is_some_and(|value| {
        (text(there).is_some() && text(there) == text(value))
            || (list(there).is_some() && list(there) == list(value))
    })
}
