//! Just enough XML to answer in: elements and escaped text.

pub(crate) struct Xml {
    text: String,
}

impl Xml {
    /// A document; `root` may carry attributes that need no escaping.
    pub(crate) fn document(root: &str, fill: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self {
            text: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"),
        };
        xml.element(root, fill);
        xml.text
    }

    pub(crate) fn element(&mut self, tag: &str, fill: impl FnOnce(&mut Self)) {
        let name = tag.split(' ').next().unwrap_or(tag);
        self.text.push('<');
        self.text.push_str(tag);
        self.text.push('>');
        fill(self);
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    pub(crate) fn leaf(&mut self, name: &str, value: &str) {
        self.element(name, |xml| xml.text(value));
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.text.push_str(&escape(value));
    }
}

/// Safe in text and in quoted attributes, for XML and HTML alike.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        let text = Xml::document("A xmlns=\"urn:x\"", |xml| xml.leaf("B", "</B>&\"'"));
        assert!(text.ends_with("<A xmlns=\"urn:x\"><B>&lt;/B&gt;&amp;&quot;&#39;</B></A>"));
    }
}
