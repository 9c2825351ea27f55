//! A proxy in front of an HTTP API that does to chosen requests what networks and tired servers do.
//!
//! Every request has a connection of its own, which ends with its answer, so that a fault hits the request that it
//! was meant for. What is not meant passes as it is, the `Host` header included (signatures cover it). Requests whose
//! length is not told beforehand are refused with 411.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::Uri;
use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::daemon::free_port;

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status is answered, with `Retry-After` in seconds; the service never hears of the request.
    Status(u16, Option<u64>),
    /// The connection is reset; the service never hears of the request.
    Reset,
    /// Nothing is answered, and the connection stays open; the service never hears of the request.
    Hang,
    /// A page for people is answered, with status 200; the service never hears of the request.
    Html,
    /// The service does what it was asked, and the connection ends without an answer.
    LoseAnswer,
    /// The service does what it was asked, nothing is answered, and the connection stays open.
    HangAfter,
    /// The service does what it was asked, and the connection ends in the middle of its answer.
    Break,
    /// The service does what it was asked, and half of its answer's body is sent as if that were all.
    Halve,
    /// The service does what it was asked, and the body of its answer comes one octet at a time, each after this wait.
    Slow(Duration),
}

impl Fault {
    /// Whether the service sees the request.
    fn is_behind(&self) -> bool {
        matches!(
            self,
            Self::LoseAnswer | Self::HangAfter | Self::Break | Self::Halve | Self::Slow(_)
        )
    }
}

/// Which request a fault waits for.
#[derive(Clone, Debug)]
enum When {
    /// The next one.
    Next,
    /// The one with this number, the first being 1.
    Number(usize),
    /// The next one of this method, with this in its path or query.
    Like(String, String),
}

/// A running proxy. It ends with this value, and the connections through it with it.
pub struct FaultProxy {
    shared: Arc<Shared>,
    url: String,
    // Ends what it holds.
    _tasks: JoinSet<()>,
}

struct Shared {
    upstream: SocketAddr,
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    planned: VecDeque<(When, Fault)>,
    /// What happens to all for which nothing is planned.
    otherwise: Option<Fault>,
    /// Method and target of every request, in order.
    seen: Vec<(String, String)>,
    forwarded: usize,
}

impl FaultProxy {
    /// Starts a proxy in front of `upstream`, a URL whose host is an address.
    ///
    /// # Errors
    /// If the URL is another, or no port is free.
    pub async fn start(upstream: &str) -> Result<Self> {
        let uri: Uri = upstream.parse().with_context(|| format!("{upstream:?} is no URL"))?;
        let authority = uri.authority().with_context(|| format!("no address in {upstream:?}"))?;
        let upstream = authority
            .as_str()
            .parse()
            .with_context(|| format!("{authority} is no address"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("failed to listen at {address}"))?;
        let shared = Arc::new(Shared {
            upstream,
            script: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        let path = uri.path().trim_end_matches('/');
        Ok(Self {
            shared,
            url: format!("http://{address}{path}"),
            _tasks: tasks,
        })
    }

    /// What to call in the place of the upstream's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Does this to the next request for which nothing else is planned. Called twice, it is about the next two.
    pub fn next(&self, fault: Fault) {
        self.script().planned.push_back((When::Next, fault));
    }

    /// Does this to the request with this number, the first since the start being 1.
    pub fn number(&self, number: usize, fault: Fault) {
        self.script().planned.push_back((When::Number(number), fault));
    }

    /// Does this to the next request of this method with `part` in its path or query.
    pub fn like(&self, method: &str, part: &str, fault: Fault) {
        let when = When::Like(method.to_owned(), part.to_owned());
        self.script().planned.push_back((when, fault));
    }

    /// Does this to all requests for which nothing is planned, until it is called with another or none.
    pub fn always(&self, fault: Option<Fault>) {
        self.script().otherwise = fault;
    }

    /// Does nothing of what is planned.
    pub fn spare(&self) {
        self.script().planned.clear();
    }

    /// How many faults are planned and have not happened.
    pub fn planned(&self) -> usize {
        self.script().planned.len()
    }

    /// How many requests came.
    pub fn seen(&self) -> usize {
        self.script().seen.len()
    }

    /// Method, and path with query, of every request, in order.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.script().seen.clone()
    }

    /// How many of them the service saw.
    pub fn forwarded(&self) -> usize {
        self.script().forwarded
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.shared.script()
    }
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to this request.
    fn decide(&self, request: &Request) -> Option<Fault> {
        let mut script = self.script();
        script.seen.push((request.method.clone(), request.target.clone()));
        let number = script.seen.len();
        let meant = |when: &When| match when {
            When::Next => false,
            When::Number(wanted) => *wanted == number,
            When::Like(method, part) => *method == request.method && request.target.contains(part),
        };
        // What names a request goes before what takes any.
        let by_name = script.planned.iter().position(|(when, _)| meant(when));
        let any = || script.planned.iter().position(|(when, _)| matches!(when, When::Next));
        let planned = by_name.or_else(any).and_then(|at| script.planned.remove(at));
        let fault = planned.map(|(_, fault)| fault).or_else(|| script.otherwise.clone());
        script.forwarded += usize::from(fault.as_ref().is_none_or(Fault::is_behind));
        fault
    }
}

/// A request as it came.
struct Request {
    method: String,
    target: String,
    octets: Vec<u8>,
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                let shared = Arc::clone(&shared);
                // One that goes wrong has told its client so, by ending.
                connections.spawn(async move { serve(client, &shared).await });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut client: TcpStream, shared: &Shared) -> Result<()> {
    let Some(request) = read_request(&mut client).await? else {
        let refusal = b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return Ok(client.write_all(refusal).await?);
    };
    let fault = shared.decide(&request);
    let answer = match &fault {
        Some(fault) if !fault.is_behind() => Vec::new(),
        _ => forward(shared.upstream, &request.octets).await?,
    };
    let body_at = end_of_head(&answer).unwrap_or(answer.len());
    let (head, body) = answer.split_at_checked(body_at).unwrap_or_default();
    match fault {
        None => client.write_all(&answer).await?,
        Some(Fault::LoseAnswer) => {}
        Some(Fault::Reset) => client.set_zero_linger()?,
        Some(Fault::Hang | Fault::HangAfter) => hang(&mut client).await,
        Some(Fault::Break) => {
            client.write_all(head).await?;
            client.write_all(half(body)).await?;
        }
        Some(Fault::Halve) => {
            client.write_all(&with_length(head, half(body).len())).await?;
            client.write_all(half(body)).await?;
        }
        Some(Fault::Slow(wait)) => {
            client.write_all(head).await?;
            for octet in body {
                tokio::time::sleep(wait).await;
                client.write_all(&[*octet]).await?;
            }
        }
        Some(Fault::Html) => {
            let page = "<!doctype html><title>Sign in</title>";
            client
                .write_all(message(200, "text/html", None, page).as_bytes())
                .await?;
        }
        Some(Fault::Status(status, wait)) => {
            let body = r#"{"message":"the fault proxy says no"}"#;
            client
                .write_all(message(status, "application/json", wait, body).as_bytes())
                .await?;
        }
    }
    Ok(())
}

/// Waits until the client leaves.
async fn hang(client: &mut TcpStream) {
    let mut rest = [0; 1024];
    while client.read(&mut rest).await.is_ok_and(|length| length > 0) {}
}

fn message(status: u16, content_type: &str, retry_after: Option<u64>, body: &str) -> String {
    let wait = retry_after
        .map(|seconds| format!("retry-after: {seconds}\r\n"))
        .unwrap_or_default();
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Fault\r\ncontent-type: {content_type}\r\n{wait}content-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

fn half(body: &[u8]) -> &[u8] {
    body.get(..body.len() / 2).unwrap_or_default()
}

/// The head, of a body of this length.
fn with_length(head: &[u8], length: usize) -> Vec<u8> {
    let head = String::from_utf8_lossy(head);
    let lines = head
        .trim_end()
        .lines()
        .filter(|line| !is_header(line, "content-length"));
    let lines: Vec<_> = lines.map(|line| format!("{line}\r\n")).collect();
    format!("{}content-length: {length}\r\n\r\n", lines.concat()).into_bytes()
}

fn is_header(line: &str, name: &str) -> bool {
    line.split_once(':')
        .is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
}

/// Where the body begins.
fn end_of_head(octets: &[u8]) -> Option<usize> {
    octets
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// Reads one request. `None` when its length is not told.
async fn read_request(client: &mut TcpStream) -> Result<Option<Request>> {
    let mut octets = Vec::new();
    let body_at = loop {
        if let Some(at) = end_of_head(&octets) {
            break at;
        }
        if client.read_buf(&mut octets).await? == 0 {
            bail!("the client left");
        }
    };
    let head = String::from_utf8_lossy(octets.get(..body_at).unwrap_or_default()).into_owned();
    if head.lines().any(|line| is_header(line, "transfer-encoding")) {
        return Ok(None);
    }
    let length = head.lines().find(|line| is_header(line, "content-length"));
    let length: usize = length
        .and_then(|line| line.split_once(':')?.1.trim().parse().ok())
        .unwrap_or_default();
    while octets.len() < body_at + length {
        if client.read_buf(&mut octets).await? == 0 {
            bail!("the client left");
        }
    }
    let body = octets.get(body_at..body_at + length).unwrap_or_default();
    let mut lines = head.trim_end().lines().filter(|line| !is_header(line, "connection"));
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: Vec<_> = lines.map(|line| format!("{line}\r\n")).collect();
    let head = format!(
        "{method} {target} HTTP/1.1\r\n{}connection: close\r\n\r\n",
        headers.concat()
    );
    Ok(Some(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        octets: [head.as_bytes(), body].concat(),
    }))
}

/// The service's whole answer.
async fn forward(upstream: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    let mut service = TcpStream::connect(upstream).await?;
    service.write_all(request).await?;
    let mut answer = Vec::new();
    service.read_to_end(&mut answer).await?;
    Ok(answer)
}
