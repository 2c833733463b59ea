//! Where requests for a provider go instead of its own hosts: flags that the operator and the kubectl plugin share.

use clap::Args;
use url::Url;

use crate::account::Endpoints;

/// A credential would travel in the clear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--provider-endpoint {provider}={url}: credentials are not sent over plain http to other machines"
)]
pub struct Insecure {
    provider: String,
    url: Url,
}

/// The flags that divert requests to an emulator.
#[derive(Args, Clone, Debug)]
pub struct EndpointOptions {
    /// Send every request for a provider to another base URL: twilio=URL, telnyx=URL, or burki=URL for
    /// https://api.burki.dev. Plain http only to loopback.
    #[arg(long, env = "PHONENUMBER_PROVIDER_ENDPOINT", value_delimiter = ',', value_parser = endpoint)]
    provider_endpoint: Vec<(String, Url)>,

    /// Allow plain http to other hosts than loopback. Credentials then travel in the clear.
    #[arg(long, env = "PHONENUMBER_ALLOW_INSECURE_ENDPOINTS")]
    allow_insecure_endpoints: bool,
}

fn endpoint(text: &str) -> Result<(String, Url), String> {
    let (provider, url) = text
        .split_once('=')
        .ok_or("must be twilio=URL, telnyx=URL or burki=URL")?;
    if !matches!(provider, "twilio" | "telnyx" | "burki") {
        return Err(format!("{provider:?} is not twilio, telnyx or burki"));
    }
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    Ok((provider.to_owned(), url))
}

impl EndpointOptions {
    /// Where the providers are, and Burki if it is diverted too.
    ///
    /// # Errors
    /// If a credential would travel in the clear.
    pub fn endpoints(&self) -> Result<(Endpoints, Option<Url>), Insecure> {
        let mut endpoints = Endpoints::default();
        let mut burki = None;
        for (provider, url) in &self.provider_endpoint {
            if !self.is_safe(url) {
                return Err(Insecure {
                    provider: provider.clone(),
                    url: url.clone(),
                });
            }
            match provider.as_str() {
                "twilio" => endpoints.twilio = Some(url.clone()),
                "telnyx" => endpoints.telnyx = Some(url.clone()),
                _ => burki = Some(url.clone()),
            }
        }
        Ok((endpoints, burki))
    }

    /// True if `url` is https, or http to this very machine, or plain http is allowed.
    pub fn is_safe(&self, url: &Url) -> bool {
        is_safe(url, self.allow_insecure_endpoints)
    }
}

/// True if `url` is https, or http to this very machine, or `insecure` is allowed.
fn is_safe(url: &Url, insecure: bool) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && (loopback || insecure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_travel_in_the_clear_only_to_this_machine_or_by_permission() {
        for (url, insecure, safe) in [
            ("https://api.example.com", false, true),
            ("http://127.0.0.1:9", false, true),
            ("http://[::1]:9", false, true),
            ("http://localhost:9", false, true),
            ("http://10.0.0.1:9", false, false),
            ("http://127.0.0.1.example.com", false, false),
            ("http://10.0.0.1:9", true, true),
            ("ftp://127.0.0.1", true, false),
        ] {
            assert_eq!(is_safe(&Url::parse(url).unwrap(), insecure), safe, "{url}");
        }
    }

    #[test]
    fn only_known_providers_are_diverted() {
        assert!(endpoint("twilio=http://127.0.0.1:1").is_ok());
        assert!(endpoint("vonage=http://127.0.0.1:1").is_err());
        assert!(endpoint("twilio").is_err());
    }
}
