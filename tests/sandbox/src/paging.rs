//! Pages of a list and the opaque tokens between them. Pure.
//!
//! A token only fits the list it came from: one of another operation or account is refused, as AWS does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The token was not made for this list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadToken;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// `list` names what is paged through, with everything that filters it.
pub(crate) fn page<T>(
    items: Vec<T>,
    list: &str,
    token: Option<&str>,
    size: usize,
) -> Result<Page<T>, BadToken> {
    let start = match token.filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => offset(token, list).ok_or(BadToken)?,
    };
    let total = items.len();
    let end = start.saturating_add(size.max(1)).min(total);
    let items = items.into_iter().skip(start).take(size.max(1)).collect();
    let next = (end < total).then(|| URL_SAFE_NO_PAD.encode(format!("{end}:{list}")));
    Ok(Page { items, next })
}

fn offset(token: &str, list: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (offset, made_for) = text.split_once(':')?;
    (made_for == list).then_some(())?;
    offset.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn following_the_tokens_gives_every_item_once() {
        let mut token = None;
        let mut seen = Vec::new();
        let mut pages = 0;
        loop {
            let page = page((0..23).collect(), "numbers", token.as_deref(), 5).unwrap();
            seen.extend(page.items);
            pages += 1;
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..23).collect::<Vec<_>>());
        assert_eq!(pages, 5);
    }

    #[test]
    fn a_last_page_that_is_full_has_no_token() {
        assert_eq!(page(vec![1, 2], "l", None, 2).unwrap().next, None);
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let token = page(vec![1, 2, 3], "mine", None, 1).unwrap().next;
        assert_eq!(
            page(vec![1, 2, 3], "yours", token.as_deref(), 1),
            Err(BadToken)
        );
        assert_eq!(page(vec![1], "mine", Some("junk!"), 1), Err(BadToken));
    }
}
