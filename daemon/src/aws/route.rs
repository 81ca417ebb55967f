//! How AWS is reached: the proxy, the certificates, the connections.

use std::time::Duration;

use aws_smithy_async::rt::sleep::SharedAsyncSleep;
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnectorSettings, SharedHttpClient},
    runtime_components::RuntimeComponents,
};
use awsso_proto::{Failure, Reason};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::config::{Config, Network};

/// Polls come more often; what is kept longer wakes an idle daemon for nothing.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);

/// How this machine reaches the world.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) proxy: ProxyConfig,
    tls: TlsContext,
}

impl Route {
    /// The Rust SDK takes neither a proxy nor a CA bundle from the environment.
    pub(super) fn new(config: &Config, network: &Network) -> Result<Self, Failure> {
        let stays_here = config.environment.stays_on_this_machine();
        let proxy = match &network.proxy {
            Some(url) => ProxyConfig::all(url.as_str())
                .map(|proxy| proxy.no_proxy("localhost,127.0.0.1,::1"))
                .map_err(|_| {
                    // The URL may hold a password: it is not repeated.
                    Failure::new(Reason::InvalidArgument, "[network] proxy is not a URL")
                })?,
            // A proxy would only be in the way.
            None if stays_here => ProxyConfig::disabled(),
            None => ProxyConfig::from_env(),
        };
        // What stays on this machine needs no certificates, and a small system has none.
        let mut trust = if stays_here {
            TrustStore::empty()
        } else {
            TrustStore::default()
        };
        let bundle = config
            .environment
            .get("AWS_CA_BUNDLE")
            .map(std::path::PathBuf::from)
            .or_else(|| network.ca_bundle.clone());
        if let Some(path) = bundle {
            let problem = |what: &dyn std::fmt::Display| {
                Failure::new(
                    Reason::InvalidArgument,
                    format!("the CA bundle {}: {what}", path.display()),
                )
            };
            let pem = std::fs::read(&path).map_err(|error| problem(&error))?;
            check_certificates(&pem).map_err(|what| problem(&what))?;
            trust.add_pem_certificate(pem);
        }
        let tls = TlsContext::builder()
            .with_trust_store(trust)
            .build()
            .map_err(|error| Failure::new(Reason::InvalidArgument, format!("TLS: {error}")))?;
        Ok(Self { proxy, tls })
    }

    pub(super) fn connector(
        &self,
        settings: Option<HttpConnectorSettings>,
        sleep: Option<SharedAsyncSleep>,
    ) -> Connector {
        let mut connector = Connector::builder()
            .proxy_config(self.proxy.clone())
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .tls_context(self.tls.clone())
            .pool_idle_timeout(IDLE_CONNECTION);
        connector.set_connector_settings(settings);
        connector.set_sleep_impl(sleep);
        connector.build()
    }

    pub(super) fn client(&self) -> SharedHttpClient {
        let route = self.clone();
        Builder::new().build_with_connector_fn(move |settings, components| {
            let sleep = components.and_then(RuntimeComponents::sleep_impl);
            route.connector(settings.cloned(), sleep)
        })
    }
}

/// The SDK takes what is wrong here for a mistake in the program.
fn check_certificates(pem: &[u8]) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for (at, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let certificate = certificate.map_err(|error| format!("is not PEM: {error}"))?;
        let added = roots.add(certificate);
        added.map_err(|error| format!("certificate {} cannot be used: {error}", at + 1))?;
    }
    if roots.is_empty() {
        return Err("holds no PEM certificate".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_bundle_that_cannot_be_used_is_told_and_not_found_out_later() {
        for (bundle, expected) in [
            ("", "holds no PEM certificate"),
            ("not a certificate", "holds no PEM certificate"),
            (
                "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
                "is not PEM",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "certificate 1 cannot be used",
            ),
        ] {
            let problem = check_certificates(bundle.as_bytes()).unwrap_err();
            assert!(problem.starts_with(expected), "{bundle:?}: {problem}");
        }
    }
}
