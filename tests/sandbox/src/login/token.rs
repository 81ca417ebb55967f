//! The exchange of a grant for tokens.

use std::time::{Duration, SystemTime};

use super::{ACCOUNT_ACCESS, AccessToken, Login, RefreshToken, State, Tokens};
use crate::answer::Refusal;
use crate::mint::Mint;

/// What a client brings to be given tokens.
pub(super) enum Grant<'a> {
    Device {
        code: &'a str,
    },
    Code {
        code: &'a str,
        redirect_uri: &'a str,
        verifier: &'a str,
    },
    Refresh {
        token: &'a str,
    },
}

/// The switches that apply to an exchange.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) auto_approve: Option<Duration>,
    pub(super) rotate: bool,
}

impl Grant<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Device { .. } => "urn:ietf:params:oauth:grant-type:device_code",
            Self::Code { .. } => "authorization_code",
            Self::Refresh { .. } => "refresh_token",
        }
    }
}

impl Login {
    pub(super) fn exchange(
        &self,
        client_id: &str,
        client_secret: &str,
        grant: &Grant<'_>,
        terms: Terms,
        mint: &Mint,
        now: SystemTime,
    ) -> Result<Tokens, Refusal> {
        let may_refresh = {
            let state = self.lock();
            let client = state.client(client_id, client_secret, now)?;
            // A client registered without grant types may use the device grant and refresh; that is AWS's default.
            let allowed = if client.grant_types.is_empty() {
                !matches!(grant, Grant::Code { .. })
            } else {
                client
                    .grant_types
                    .iter()
                    .any(|allowed| allowed == grant.name())
            };
            if !allowed {
                let message = format!("Client is not authorized to use the grant {}", grant.name());
                return Err(Refusal::bad("UnauthorizedClientException", message));
            }
            client.scopes.iter().any(|scope| scope == ACCOUNT_ACCESS)
                && (client.grant_types.is_empty()
                    || client
                        .grant_types
                        .iter()
                        .any(|grant| grant == "refresh_token"))
        };
        match grant {
            Grant::Refresh { token } => {
                return self.refresh(token, client_id, terms.rotate, mint, now);
            }
            Grant::Device { code } => self.poll_device(code, client_id, terms.auto_approve, now)?,
            Grant::Code {
                code,
                redirect_uri,
                verifier,
            } => {
                self.take_code(code, client_id, redirect_uri, verifier, now)?;
            }
        }
        let mut state = self.lock();
        let session = self.open_session(&mut state, now);
        let mut tokens = self.issue_access(&mut state, session, mint, now);
        if may_refresh {
            tokens.refresh_token = Some(issue_refresh(&mut state, session, client_id, mint));
        }
        Ok(tokens)
    }

    fn refresh(
        &self,
        token: &str,
        client_id: &str,
        rotate: bool,
        mint: &Mint,
        now: SystemTime,
    ) -> Result<Tokens, Refusal> {
        let invalid = || Refusal::bad("InvalidGrantException", "Invalid refresh token provided");
        let mut state = self.lock();
        let known = state
            .refresh_tokens
            .get(token)
            .filter(|known| known.client_id == client_id && !known.spent);
        let session = known.ok_or_else(invalid)?.session;
        if state.sessions[session].ended || state.sessions[session].expires <= now {
            return Err(invalid());
        }
        let mut tokens = self.issue_access(&mut state, session, mint, now);
        tokens.refresh_token = Some(if rotate {
            if let Some(used) = state.refresh_tokens.get_mut(token) {
                used.spent = true;
            }
            issue_refresh(&mut state, session, client_id, mint)
        } else {
            token.to_owned()
        });
        Ok(tokens)
    }

    fn issue_access(
        &self,
        state: &mut State,
        session: usize,
        mint: &Mint,
        now: SystemTime,
    ) -> Tokens {
        let left = state.sessions[session]
            .expires
            .duration_since(now)
            .unwrap_or_default();
        let lifetime = self.lifetimes.token.min(left);
        let access_token = mint.access_token();
        state.access_tokens.insert(
            access_token.clone(),
            AccessToken {
                session,
                expires: now + lifetime,
            },
        );
        Tokens {
            access_token,
            refresh_token: None,
            lifetime,
        }
    }
}

fn issue_refresh(state: &mut State, session: usize, client_id: &str, mint: &Mint) -> String {
    let token = mint.refresh_token();
    let issued = RefreshToken {
        session,
        client_id: client_id.to_owned(),
        spent: false,
    };
    state.refresh_tokens.insert(token.clone(), issued);
    token
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::login::{NewClient, Registered};
    use std::time::UNIX_EPOCH;

    const T0: SystemTime = UNIX_EPOCH;

    struct Dance {
        login: Login,
        mint: Mint,
        client: Registered,
    }

    fn registered(scopes: &[&str]) -> Dance {
        let (login, mint) = (Login::new(&Config::default()), Mint::default());
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        let client = login.register(
            NewClient {
                scopes,
                grant_types: vec![],
                redirect_uris: vec![],
            },
            &mint,
            T0,
        );
        Dance {
            login,
            mint,
            client,
        }
    }

    impl Dance {
        fn exchange(
            &self,
            grant: &Grant<'_>,
            rotate: bool,
            now: SystemTime,
        ) -> Result<Tokens, &'static str> {
            let terms = Terms {
                auto_approve: Some(Duration::ZERO),
                rotate,
            };
            let client = &self.client;
            self.login
                .exchange(
                    &client.client_id,
                    &client.client_secret,
                    grant,
                    terms,
                    &self.mint,
                    now,
                )
                .map_err(|refusal| refusal.code)
        }

        fn signed_in(&self) -> Tokens {
            let asked = self
                .login
                .start_device(&self.client.client_id, &self.mint, T0);
            self.exchange(
                &Grant::Device {
                    code: &asked.device_code,
                },
                true,
                T0,
            )
            .ok()
            .unwrap()
        }
    }

    #[test]
    fn a_refresh_token_comes_only_with_the_account_scope() {
        assert!(
            registered(&[ACCOUNT_ACCESS])
                .signed_in()
                .refresh_token
                .is_some()
        );
        assert!(registered(&[]).signed_in().refresh_token.is_none());
    }

    #[test]
    fn a_rotated_refresh_token_works_once() {
        let dance = registered(&[ACCOUNT_ACCESS]);
        let first = dance.signed_in().refresh_token.unwrap();
        let second = dance
            .exchange(&Grant::Refresh { token: &first }, true, T0)
            .ok()
            .unwrap();
        assert_ne!(second.refresh_token.as_deref(), Some(first.as_str()));
        let again = dance.exchange(&Grant::Refresh { token: &first }, true, T0);
        assert_eq!(again.err(), Some("InvalidGrantException"));
    }

    #[test]
    fn without_rotation_the_refresh_token_stays() {
        let dance = registered(&[ACCOUNT_ACCESS]);
        let first = dance.signed_in().refresh_token.unwrap();
        let second = dance
            .exchange(&Grant::Refresh { token: &first }, false, T0)
            .ok()
            .unwrap();
        assert_eq!(second.refresh_token, Some(first));
    }

    #[test]
    fn a_refresh_ends_with_its_session() {
        let dance = registered(&[ACCOUNT_ACCESS]);
        let tokens = dance.signed_in();
        let refresh = tokens.refresh_token.unwrap();
        let late = T0 + Duration::from_hours(8);
        assert_eq!(
            dance
                .exchange(&Grant::Refresh { token: &refresh }, true, late)
                .err(),
            Some("InvalidGrantException")
        );
        dance.login.sign_out(&tokens.access_token);
        assert_eq!(
            dance
                .exchange(&Grant::Refresh { token: &refresh }, true, T0)
                .err(),
            Some("InvalidGrantException")
        );
    }

    #[test]
    fn the_last_access_token_ends_with_the_session() {
        let dance = registered(&[ACCOUNT_ACCESS]);
        let refresh = dance.signed_in().refresh_token.unwrap();
        let late = T0 + Duration::from_hours(8) - Duration::from_mins(2);
        let tokens = dance
            .exchange(&Grant::Refresh { token: &refresh }, true, late)
            .ok()
            .unwrap();
        assert_eq!(tokens.lifetime, Duration::from_mins(2));
    }

    #[test]
    fn a_forgotten_client_is_invalid() {
        let dance = registered(&[ACCOUNT_ACCESS]);
        dance.login.forget_clients();
        assert_eq!(
            dance
                .exchange(&Grant::Refresh { token: "x" }, true, T0)
                .err(),
            Some("InvalidClientException")
        );
    }
}
