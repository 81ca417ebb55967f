//! Start URLs on a company's own domain. They redirect to the access portal, and
//! AWS's OIDC service knows only that one's URL (AWS CLI v2 does the same).

use std::borrow::Cow;

use tracing::info;

use crate::aws::Aws;

/// The domains of access portals, in every partition.
const PORTALS: &[&str] = &[
    "awsapps.com",
    "awsapps.cn",
    "app.aws",
    "portal.amazonaws.com",
    "portal.amazonaws.com.cn",
    "portal.amazonaws.eu",
    "app.amazonwebservices.com.cn",
    "api.amazonwebservices.eu",
    "identitycenter.amazonaws.com",
    "identitycenter.amazonaws.com.cn",
    "identitycenter.amazonaws.eu",
    "identitycenter.us-gov.amazonaws.com",
];

/// The URL that AWS knows the place by. Whatever cannot be resolved stays as it
/// is: AWS says best what it thinks of it.
pub(super) async fn resolve<'a>(aws: &Aws, start_url: &'a str) -> Cow<'a, str> {
    if is_a_portal(start_url) || !aws.oidc_is_real() {
        return start_url.into();
    }
    let portal = match aws.redirect_of(start_url).await {
        Ok(target) => target.and_then(|target| destination(start_url, &target)),
        Err(error) => {
            info!(start_url, error, "the start URL could not be looked at");
            None
        }
    };
    portal.map_or(start_url.into(), |portal| {
        info!(start_url, portal, "the start URL redirects");
        portal.into()
    })
}

fn is_a_portal(url: &str) -> bool {
    let url = url::Url::parse(url).ok();
    url.filter(|url| url.scheme() == "https")
        .is_some_and(|url| {
            let host = url.host_str().unwrap_or_default().trim_end_matches('.');
            PORTALS.iter().any(|portal| {
                host.strip_suffix(portal)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
        })
}

/// A redirect counts when it leads to AWS; query and fragment are the page's own.
fn destination(from: &str, to: &str) -> Option<String> {
    let mut url = url::Url::parse(from).ok()?.join(to).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    let url = url.as_str().trim_end_matches('/').to_owned();
    is_a_portal(&url).then_some(url)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use awsso_proto::Endpoint;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::{
        clock::Clock,
        config::{Config, Environment},
    };

    #[tokio::test(flavor = "current_thread")]
    async fn a_page_is_asked_where_it_leads() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let mut asked = [0; 5];
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut asked).await.unwrap();
            let answer = "HTTP/1.1 302 Found\r\nlocation: https://corp.awsapps.com/start\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
            asked
        });
        let dir = tempfile::tempdir().unwrap();
        let endpoint = Endpoint {
            socket: dir.path().join("sock"),
            explicit: true,
            state: dir.path().join("state"),
        };
        let home = dir.path().to_str().unwrap().to_owned();
        let environment = Environment::new([("HOME".to_owned(), home)]).unwrap();
        let config = Arc::new(Config::new(endpoint, environment));
        let aws = Aws::new(config, &Clock::system()).unwrap();
        assert!(aws.oidc_is_real());
        let target = aws.redirect_of(&url).await.unwrap();
        assert_eq!(target.as_deref(), Some("https://corp.awsapps.com/start"));
        assert_eq!(&served.await.unwrap(), b"HEAD ");
        // Nobody is at home any more: the URL stays as it was written.
        assert_eq!(resolve(&aws, &url).await, url);
    }

    #[test]
    fn an_access_portal_is_known_by_its_domain() {
        for portal in [
            "https://corp.awsapps.com/start",
            "https://D-1234567890.AWSAPPS.com/start/#/",
            "https://ssoins-1.portal.eu-west-1.app.aws/",
            "https://ssoins-1.eu-west-1.portal.amazonaws.com",
            "https://start.us-gov-home.awsapps.com/directory/x",
            "https://identitycenter.amazonaws.com/ssoins-7223",
        ] {
            assert!(is_a_portal(portal), "{portal}");
        }
        for other in [
            "https://sso.example.com/",
            "https://evilawsapps.com/start",
            "https://awsapps.com.evil.example/start",
            "http://corp.awsapps.com/start",
            "nonsense",
        ] {
            assert!(!is_a_portal(other), "{other}");
        }
    }

    #[test]
    fn a_redirect_counts_only_when_it_leads_to_a_portal() {
        let from = "https://sso.example.com/";
        assert_eq!(
            destination(from, "https://corp.awsapps.com/start/?x=1#/").as_deref(),
            Some("https://corp.awsapps.com/start")
        );
        for to in [
            "/start",
            "https://evil.example/start",
            "http://corp.awsapps.com/start",
        ] {
            assert_eq!(destination(from, to), None, "{to}");
        }
    }
}
