//! One request on one connection of its own, without a second try: what scenarios count failures with.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Asks `address` for `path` of `host`. HTTP 1.0, so that the end of the connection is the end of the body.
///
/// # Errors
/// If the connection is refused or broken, or the answer is not HTTP or takes more than 30 seconds.
pub async fn get(address: SocketAddr, host: &str, path: &str) -> Result<Answer> {
    let answer = tokio::time::timeout(DEADLINE, exchange(address, host, path));
    answer
        .await
        .with_context(|| format!("no answer from {host}{path} within {DEADLINE:?}"))?
}

async fn exchange(address: SocketAddr, host: &str, path: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("failed to connect to {address}"))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .with_context(|| format!("failed to ask {host}"))?;
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .await
        .with_context(|| format!("{host} broke the connection"))?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .with_context(|| format!("{host} answered no HTTP: {text:?}"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Answer {
        status: status.with_context(|| format!("{host} answered no HTTP: {head:?}"))?,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn answered_with(words: &'static str) -> Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(words.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let answer = get(address, "app.localhost", "/x").await;
        assert_eq!(server.await.unwrap(), "GET /x HTTP/1.0\r\nHost: app.localhost\r\n\r\n");
        answer
    }

    #[tokio::test]
    async fn an_answer_is_its_code_and_its_body() {
        let answer = answered_with("HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\nno\n")
            .await
            .unwrap();
        assert_eq!(
            answer,
            Answer {
                status: 404,
                body: "no\n".to_owned()
            }
        );
    }

    #[tokio::test]
    async fn a_connection_that_ends_without_an_answer_is_a_failure() {
        assert!(answered_with("").await.is_err());
    }
}
