//! Which authorities an operator takes a provider's word from.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use test_support::process::Process;
use test_support::world::World;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// An authority of its own.
fn authority() -> Issuer {
    let mut about = CertificateParams::new(Vec::new()).unwrap();
    about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(about, KeyPair::generate().unwrap()).unwrap()
}

/// Speaks TLS for what listens at `url` without it, with a certificate of `authority`, and returns where.
async fn in_front_of(url: &str, authority: &Issuer) -> String {
    let key = KeyPair::generate().unwrap();
    let about = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = about.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let behind = url.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                // Who does not trust the certificate goes away.
                let Ok(mut client) = acceptor.accept(client).await else {
                    return;
                };
                let mut server = TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    format!("https://{address}")
}

fn start(world: &mut World, bundle: &Path) {
    let mut command = world.operator_command(&[]);
    command
        .env("SSL_CERT_FILE", bundle)
        .env_remove("SSL_CERT_DIR")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    world.operator = Some(Process(command.spawn().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_believed_whose_certificate_the_bundle_of_authorities_vouches_for() {
    let mut world = World::new("trust").await;
    world.kill_operator();
    let (trusted, other) = (authority(), authority());
    let folder = tempfile::tempdir().unwrap();
    let bundle = |name: &str, authority: &Issuer| -> PathBuf {
        let file = folder.path().join(name);
        std::fs::write(&file, authority.pem()).unwrap();
        file
    };
    world.emulator.twilio = in_front_of(&world.emulator.twilio, &trusted).await;
    let number = "+12125550171";
    world.create("nyc", "twilio", number, json!({})).await;

    start(&mut world, &bundle("other.pem", &other));
    let refused = world.until_reason("nyc", "ProviderUnavailable").await;
    let said = serde_json::to_string(&refused.status).unwrap();
    assert!(said.contains("certificate"), "{said}");
    assert_eq!(world.attempts().await, 0);

    world.kill_operator();
    start(&mut world, &bundle("trusted.pem", &trusted));
    world.until_ready("nyc").await;
    assert_eq!(world.emulator.purchases(number).await, 1);
}
