//! What our entry is made of, and how it is written as JSON in a file of a given style.

use jsonc_parser::ast::Value;

/// What a member is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Text(String),
    List(Vec<String>),
    Members(Vec<(String, Node)>),
}

/// How a file is written.
pub struct Style {
    pub newline: &'static str,
    pub indent: String,
    pub one_line: bool,
}

impl Node {
    pub fn written(&self, style: &Style, indent: &str) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Members(members) => {
                let inner = format!("{indent}{}", style.indent);
                let members = members.iter().map(|(name, node)| {
                    format!("{}: {}", quoted(name), node.written(style, &inner))
                });
                let members: Vec<_> = members.collect();
                if style.one_line || members.is_empty() {
                    return format!("{{{}}}", members.join(", "));
                }
                let newline = style.newline;
                let between = format!(",{newline}{inner}");
                format!(
                    "{{{newline}{inner}{}{newline}{indent}}}",
                    members.join(&between)
                )
            }
        }
    }

    /// Whether a value is this text or this list.
    pub fn is(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Text(text), Value::StringLit(there)) => *text == there.value,
            (Self::List(items), Value::Array(there)) => {
                items.len() == there.elements.len()
                    && items.iter().zip(&there.elements).all(|(item, there)| {
                        there
                            .as_string_lit()
                            .is_some_and(|there| *item == there.value)
                    })
            }
            _ => false,
        }
    }

    /// This, as a member of a member of …
    pub fn wrapped(&self, path: &[&str]) -> Self {
        path.iter().rev().fold(self.clone(), |node, name| {
            Self::Members(vec![((*name).to_owned(), node)])
        })
    }
}

pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
