//! JSON with comments and trailing commas, as editors keep it: one member is
//! read, set or removed. Everything else stays byte for byte. Pure.

use std::ops::Range;

use jsonc_parser::{
    CollectOptions, CommentCollectionStrategy, ParseOptions,
    ast::{Object, Value},
    common::Ranged,
    parse_to_ast,
    tokens::{Token, TokenAndRange},
};

pub use self::node::Node;
use self::node::{Style, quoted};
use super::Unreadable;

mod node;

/// A text and what it means.
pub struct Document<'a> {
    text: &'a str,
    root: Option<Object<'a>>,
    tokens: Vec<TokenAndRange<'a>>,
}

impl<'a> Document<'a> {
    pub fn parse(text: &'a str) -> Result<Self, Unreadable> {
        let collect = CollectOptions {
            comments: CommentCollectionStrategy::AsTokens,
            tokens: true,
        };
        // What VS Code and Zed read, and no more: their users must not be told that all is well.
        let options = ParseOptions {
            allow_comments: true,
            allow_trailing_commas: true,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let parsed = parse_to_ast(text, &collect, &options).map_err(|error| {
            let what = error.kind().to_string().to_lowercase();
            Unreadable::at(text, error.range().start, what)
        })?;
        let root = match parsed.value {
            None => None,
            Some(Value::Object(root)) => Some(root),
            Some(other) => {
                let what = "the file is not an object in braces";
                return Err(Unreadable::at(text, other.start(), what.to_owned()));
            }
        };
        Ok(Self {
            text,
            root,
            tokens: parsed.tokens.unwrap_or_default(),
        })
    }

    /// The members of the object at `path`, in their order; none where nothing is.
    pub fn members(&self, path: &[&str]) -> Result<Vec<(&str, &Value<'a>)>, Unreadable> {
        let Some(mut object) = self.root.as_ref() else {
            return Ok(Vec::new());
        };
        for name in path {
            match last(object, name) {
                None => return Ok(Vec::new()),
                Some(at) => object = self.object(object, at)?,
            }
        }
        let members = object.properties.iter();
        Ok(members
            .map(|member| (member.name.as_str(), &member.value))
            .collect())
    }

    /// The text in which the member at `path` is `node`.
    fn set(&self, path: &[&str], node: &Node) -> Result<Option<String>, Unreadable> {
        let Some(mut object) = self.root.as_ref() else {
            return Ok(Some(self.begun(path, node)));
        };
        let mut path = path;
        while let [name, rest @ ..] = path {
            let Some(at) = last(object, name) else {
                let node = node.wrapped(rest);
                return Ok(Some(self.added(object, name, &node)));
            };
            if rest.is_empty() {
                let value = &object.properties[at].value;
                let same = node.is(value);
                return Ok((!same).then(|| self.replaced(object, value, node)));
            }
            object = self.object(object, at)?;
            path = rest;
        }
        Ok(None)
    }

    /// The text without the last member of that name at `path`.
    fn unset(&self, path: &[&str]) -> Result<Option<String>, Unreadable> {
        let (Some(mut object), Some((name, path))) = (self.root.as_ref(), path.split_last()) else {
            return Ok(None);
        };
        for name in path {
            match last(object, name) {
                None => return Ok(None),
                Some(at) => object = self.object(object, at)?,
            }
        }
        Ok(last(object, name).map(|at| self.removed(object, at)))
    }

    fn object<'o>(&self, parent: &'o Object<'a>, at: usize) -> Result<&'o Object<'a>, Unreadable> {
        let member = &parent.properties[at];
        member.value.as_object().ok_or_else(|| {
            let what = format!("{} is not an object in braces", member.name.as_str());
            Unreadable::at(self.text, member.value.start(), what)
        })
    }

    /// A file that holds nothing but, perhaps, comments.
    fn begun(&self, path: &[&str], node: &Node) -> String {
        let style = self.style();
        let before = self.text.trim_end();
        let gap = if before.is_empty() { "" } else { style.newline };
        let body = node.wrapped(path).written(&style, "");
        format!("{before}{gap}{body}{}", style.newline)
    }

    fn added(&self, object: &Object<'_>, name: &str, node: &Node) -> String {
        let open = object.start() + 1;
        let close = object.end() - 1;
        let inside = self.tokens_in(open..close);
        let anchor = inside.last().map_or(open, TokenAndRange::end);
        let last_member = object.properties.last().map(Ranged::end);
        let comma = last_member.and_then(|end| self.comma_after(end, close));
        let mut style = self.style();
        // What stands behind `//` in its line would be a part of the comment.
        style.one_line = self.is_in_one_line(object) && !inside.last().is_some_and(is_line_comment);
        let outer = self.indent_of_line(object.start());
        let own = match self.own_line(object) {
            Some(indent) => indent.to_owned(),
            None => format!("{outer}{}", style.indent),
        };
        let mut member = format!("{}: {}", quoted(name), node.written(&style, &own));
        if comma.is_some() {
            member.push(',');
        }
        let member = if style.one_line {
            let gap = if object.properties.is_empty() {
                ""
            } else {
                " "
            };
            format!("{gap}{member}")
        } else {
            let newline = style.newline;
            // Where others end beside the brace, so do we.
            let is_first = object.properties.is_empty();
            let last = if is_first && !self.text[anchor..close].contains('\n') {
                format!("{newline}{outer}")
            } else {
                String::new()
            };
            format!("{newline}{own}{member}{last}")
        };
        let mut edits = vec![(anchor..anchor, member)];
        if let (Some(end), None) = (last_member, comma) {
            edits.insert(0, (end..end, ",".to_owned()));
        }
        spliced(self.text, &edits)
    }

    fn replaced(&self, object: &Object<'_>, value: &Value<'_>, node: &Node) -> String {
        let mut style = self.style();
        style.one_line = self.is_in_one_line(object);
        let indent = self.indent_of_line(value.start());
        let value = value.start()..value.end();
        spliced(self.text, &[(value, node.written(&style, indent))])
    }

    fn removed(&self, object: &Object<'_>, at: usize) -> String {
        let member = &object.properties[at];
        let open = object.start() + 1;
        let close = object.end() - 1;
        let before = self.tokens_in(open..member.start());
        let mut start = before.last().map_or(open, TokenAndRange::end);
        let comma = self.comma_after(member.end(), close);
        let end = comma.as_ref().map_or(member.end(), |comma| comma.end);
        let rest = self.text[end..].lines().next().unwrap_or_default();
        // What follows in this line must not become a part of the comment.
        if before.last().is_some_and(is_line_comment) && !rest.trim().is_empty() {
            start = member.start();
        }
        let mut edits = vec![(start..member.end(), String::new())];
        if let Some(comma) = comma {
            edits.push((comma, String::new()));
        } else if let Some(comma) = before.iter().rfind(|it| it.token == Token::Comma) {
            edits.insert(0, (comma.start()..comma.end(), String::new()));
        }
        let alone = object.properties.len() == 1;
        let text = spliced(self.text, &edits);
        if alone && before.is_empty() {
            // Blanks are all that may be left between its braces.
            let left = close - (self.text.len() - text.len());
            if text[open..left].trim().is_empty() {
                return spliced(&text, &[(open..left, String::new())]);
            }
        }
        text
    }

    /// Tokens, comments among them, between two places.
    fn tokens_in(&self, range: Range<usize>) -> &[TokenAndRange<'a>] {
        let from = self.tokens.partition_point(|it| it.start() < range.start);
        let to = self.tokens.partition_point(|it| it.start() < range.end);
        &self.tokens[from..to]
    }

    /// The comma of the member that ends at `end`.
    fn comma_after(&self, end: usize, close: usize) -> Option<Range<usize>> {
        let is_comment = |it: &TokenAndRange<'_>| {
            is_line_comment(it) || matches!(it.token, Token::CommentBlock(_))
        };
        let mut tokens = self.tokens_in(end..close).iter();
        let next = tokens.find(|it| !is_comment(it))?;
        (next.token == Token::Comma).then(|| next.start()..next.end())
    }

    fn style(&self) -> Style {
        let newline = if self.text.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        let root = self.root.as_ref();
        let indent = root
            .and_then(|root| self.own_line(root))
            .filter(|it| !it.is_empty());
        Style {
            newline,
            indent: indent.unwrap_or("  ").to_owned(),
            one_line: false,
        }
    }

    /// The indentation of the first member that begins its line.
    fn own_line(&self, object: &Object<'_>) -> Option<&'a str> {
        object.properties.iter().find_map(|member| {
            let before = &self.text[..member.start()];
            let begin = before.rfind('\n')? + 1;
            (begin > object.start() && before[begin..].trim().is_empty())
                .then(|| &self.text[begin..member.start()])
        })
    }

    fn indent_of_line(&self, place: usize) -> &'a str {
        let begin = self.text[..place].rfind('\n').map_or(0, |at| at + 1);
        let line = &self.text[begin..place];
        &line[..line.len() - line.trim_start().len()]
    }

    /// An object without an end of line in it; an empty one as the file is.
    fn is_in_one_line(&self, object: &Object<'_>) -> bool {
        let root_is_empty = self.root.as_ref().is_none_or(|it| it.properties.is_empty());
        let place = match object.properties.is_empty() {
            true if root_is_empty => return false,
            true => self.text.trim(),
            false => &self.text[object.start()..object.end()],
        };
        !place.contains('\n')
    }
}

/// Sets the member at `path`.
pub fn set(text: &str, path: &[&str], node: &Node) -> Result<String, Unreadable> {
    let new = Document::parse(text)?.set(path, node)?;
    Ok(new.unwrap_or_else(|| text.to_owned()))
}

/// Removes the member at `path`, however often it stands there.
pub fn unset(text: &str, path: &[&str]) -> Result<String, Unreadable> {
    let mut text = text.to_owned();
    while let Some(new) = Document::parse(&text)?.unset(path)? {
        text = new;
    }
    Ok(text)
}

fn last(object: &Object<'_>, name: &str) -> Option<usize> {
    let mut names = object.properties.iter().map(|member| member.name.as_str());
    names.rposition(|it| it == name)
}

fn is_line_comment(token: &TokenAndRange<'_>) -> bool {
    matches!(token.token, Token::CommentLine(_))
}

/// Replaces these parts, which stand in their order.
fn spliced(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut new = String::with_capacity(text.len());
    let mut place = 0;
    for (range, with) in edits {
        new.push_str(&text[place..range.start]);
        new.push_str(with);
        place = range.end;
    }
    new.push_str(&text[place..]);
    new
}
