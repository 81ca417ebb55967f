//! Makes every secret the sandbox hands out, and remembers each of them so that a test can look for it where it
//! must not be.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

#[derive(Default)]
pub(crate) struct Mint {
    issued: Mutex<Vec<String>>,
}

impl Mint {
    pub(crate) fn access_token(&self) -> String {
        self.remember(format!("aoaAAAAAG{}", url_safe(96)))
    }

    pub(crate) fn refresh_token(&self) -> String {
        self.remember(format!("aorAAAAAG{}", url_safe(96)))
    }

    pub(crate) fn client_secret(&self) -> String {
        self.remember(format!("eyJraWQiOiJrZXkt{}", url_safe(180)))
    }

    pub(crate) fn device_code(&self) -> String {
        self.remember(url_safe(48))
    }

    pub(crate) fn authorization_code(&self) -> String {
        self.remember(url_safe(64))
    }

    pub(crate) fn secret_access_key(&self) -> String {
        self.remember(STANDARD_NO_PAD.encode(random::<30>()))
    }

    pub(crate) fn session_token(&self) -> String {
        self.remember(format!(
            "IQoJb3JpZ2luX2Vj{}",
            STANDARD_NO_PAD.encode(random::<240>())
        ))
    }

    pub(crate) fn signin_token(&self) -> String {
        self.remember(url_safe(200))
    }

    /// A code verifier, which its client has made: as secret as what was issued.
    pub(crate) fn was_shown(&self, verifier: &str) {
        self.remember(verifier.to_owned());
    }

    pub(crate) fn issued(&self) -> Vec<String> {
        self.issued
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, secret: String) -> String {
        self.issued
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(secret.clone());
        secret
    }
}

/// An id of a client registration.
pub(crate) fn client_id() -> String {
    url_safe(24)
}

/// `ABCD-EFGH`, of consonants only, so that it spells nothing and has no look-alikes.
pub(crate) fn user_code() -> String {
    let mut code = letters(b"BCDFGHJKLMNPQRSTVWXZ", 8);
    code.insert(4, '-');
    code
}

/// Temporary keys begin with `ASIA`.
pub(crate) fn access_key_id() -> String {
    format!("ASIA{}", letters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16))
}

/// The shape of a request id and of a command id.
pub(crate) fn uuid() -> String {
    let hex = hex::encode(random::<16>());
    format!(
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

fn url_safe(length: usize) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(random::<192>());
    text.truncate(length);
    text
}

fn letters(alphabet: &[u8], count: usize) -> String {
    let random = random::<32>();
    random
        .iter()
        .take(count)
        .map(|&byte| char::from(alphabet[usize::from(byte) % alphabet.len()]))
        .collect()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's random source answers");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_is_remembered() {
        let mint = Mint::default();
        let made = [
            mint.access_token(),
            mint.refresh_token(),
            mint.client_secret(),
            mint.device_code(),
        ];
        assert_eq!(mint.issued(), made);
    }

    #[test]
    fn ids_look_like_those_of_aws() {
        assert_eq!(uuid().len(), 36);
        assert_eq!(access_key_id().len(), 20);
        assert_eq!(user_code().len(), 9);
        assert_eq!(Mint::default().secret_access_key().len(), 40);
    }
}
