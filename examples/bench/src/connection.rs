//! Connections: TCP, and TLS above it.

use std::sync::Arc;

use bytes::BytesMut;
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, SignatureScheme};

use crate::Fallible;

pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// A connection, and what was read of it and not yet used.
pub(crate) struct Connection {
    pub(crate) io: Box<dyn Io>,
    pub(crate) read: BytesMut,
}

impl Connection {
    pub(crate) async fn plain(address: &str) -> Fallible<Self> {
        let io = TcpStream::connect(address).await?;
        io.set_nodelay(true)?;
        Ok(Self { io: Box::new(io), read: BytesMut::with_capacity(4096) })
    }

    pub(crate) async fn secured(self, tls: &TlsConnector) -> Fallible<Self> {
        let io = tls.connect(ServerName::try_from("localhost")?, self.io).await?;
        Ok(Self { io: Box::new(io), read: self.read })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Fallible<()> {
        self.io.write_all(bytes).await?;
        Ok(self.io.flush().await?)
    }

    /// Reads what comes next.
    pub(crate) async fn fill(&mut self) -> Fallible<()> {
        self.read.reserve(4096);
        if self.io.read_buf(&mut self.read).await? == 0 {
            return Err(format!("the server closed; it last said {:?}", String::from_utf8_lossy(&self.read)).into());
        }
        Ok(())
    }

    /// Reads up to and including `mark`.
    pub(crate) async fn until(&mut self, mark: &[u8]) -> Fallible<BytesMut> {
        loop {
            if let Some(at) = memmem::find(&self.read, mark) {
                return Ok(self.read.split_to(at + mark.len()));
            }
            self.fill().await?;
        }
    }

    pub(crate) async fn exactly(&mut self, bytes: usize) -> Fallible<BytesMut> {
        while self.read.len() < bytes {
            self.fill().await?;
        }
        Ok(self.read.split_to(bytes))
    }
}

/// TLS 1.3 with AES-128-GCM first, so that peers are compared on one suite, and without resumption: every login pays a
/// whole handshake.
pub(crate) fn tls() -> Fallible<TlsConnector> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| !format!("{:?}", suite.suite()).contains("AES_128_GCM"));
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The peers' certificates are made for the benchmark and signed by nobody.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
