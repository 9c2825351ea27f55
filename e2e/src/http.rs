//! One request on one connection of its own, without a second try: what scenarios count failures with, and clients
//! that know no better.

use std::net::SocketAddr;
use std::time::Duration;

use ::http::header::CONTENT_LENGTH;
use ::http::uri::PathAndQuery;
use ::http::{Request, Response};
use anyhow::{Context, Result, bail};
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
    let answer = raw(
        address,
        format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes(),
    )
    .await?;
    Ok(Answer {
        status: answer.status().as_u16(),
        body: answer.into_body(),
    })
}

/// Sends a request, whose URL is `http://` and an address (not a name). HTTP 1.0, as [`get`].
///
/// # Errors
/// As [`get`], and if less came than was announced.
pub async fn send(request: Request<String>) -> Result<Response<String>> {
    let (head, body) = request.into_parts();
    let authority = head.uri.authority().context("a URL without an address")?.clone();
    let address = authority
        .as_str()
        .parse()
        .with_context(|| format!("{authority} is not an address and a port"))?;
    let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let first = format!("{} {path} HTTP/1.0\r\nHost: {authority}\r\n", head.method);
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    let request = [
        first.as_bytes(),
        &headers.collect::<Vec<_>>().concat(),
        length.as_bytes(),
        body.as_bytes(),
    ]
    .concat();
    let answer = tokio::time::timeout(DEADLINE, raw(address, &request));
    answer
        .await
        .with_context(|| format!("no answer from {authority}{path} within {DEADLINE:?}"))?
}

async fn raw(address: SocketAddr, request: &[u8]) -> Result<Response<String>> {
    let mut stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("failed to connect to {address}"))?;
    stream
        .write_all(request)
        .await
        .with_context(|| format!("failed to ask {address}"))?;
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .await
        .with_context(|| format!("{address} broke the connection"))?;
    parse(&String::from_utf8_lossy(&bytes)).with_context(|| format!("{address} answered no HTTP"))
}

fn parse(text: &str) -> Result<Response<String>> {
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("{text:?}"))?;
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let status: Option<u16> = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut answer = Response::builder().status(status.with_context(|| format!("{first:?}"))?);
    for line in lines {
        let (name, value) = line.split_once(':').with_context(|| format!("{line:?}"))?;
        answer = answer.header(name, value.trim());
    }
    let answer = answer.body(body.to_owned()).context("a head that makes no sense")?;
    let announced = answer.headers().get(CONTENT_LENGTH);
    let announced: Option<usize> = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    if let Some(length) = announced
        && length > body.len()
    {
        bail!("it announced {length} octets, and sent {}", body.len());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    /// Answers one request with these words, and gives what it was asked.
    async fn server(words: &'static str) -> (SocketAddr, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(words.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (address, asked)
    }

    async fn answered_with(words: &'static str) -> Result<Answer> {
        let (address, asked) = server(words).await;
        let answer = get(address, "app.localhost", "/x").await;
        assert_eq!(asked.await.unwrap(), "GET /x HTTP/1.0\r\nHost: app.localhost\r\n\r\n");
        answer
    }

    async fn sent(words: &'static str) -> Result<Response<String>> {
        let (address, asked) = server(words).await;
        let request = Request::put(format!("http://{address}/x?y=1")).header("X-Key", "z");
        let answer = send(request.body("{}".to_owned()).unwrap()).await;
        let wanted = format!("PUT /x?y=1 HTTP/1.0\r\nHost: {address}\r\nx-key: z\r\nContent-Length: 2\r\n\r\n{{}}");
        assert_eq!(asked.await.unwrap(), wanted);
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

    #[tokio::test]
    async fn a_request_is_sent_whole_and_its_answer_has_headers() {
        let answer = sent("HTTP/1.1 429 Slow\r\nRetry-After: 3\r\n\r\nno").await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().as_str()), (429, "no"));
        assert_eq!(answer.headers()["retry-after"], "3");
    }

    #[tokio::test]
    async fn an_answer_that_ends_early_is_a_failure() {
        let error = sent("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno")
            .await
            .unwrap_err();
        assert!(format!("{error:#}").contains("announced 3 octets"), "{error:#}");
    }
}
