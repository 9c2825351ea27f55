//! What a name server is asked, counted on the way: by TCP what the operator's client sends, by UDP what is asked of it as
//! an authority.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long the server may take to answer by UDP; the client asks again then.
const ANSWER: Duration = Duration::from_secs(2);
/// How often a port is tried that is free for both.
const ATTEMPTS: u32 = 10;
/// The code of an update (RFC 2136, 2.2).
const UPDATE: u8 = 5;

/// What was sent so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Updates, those that only ask what is there included.
    pub updates: usize,
    /// Everything else by TCP: what the client reads, transfers included.
    pub reads: usize,
    /// Questions by UDP.
    pub questions: usize,
}

#[derive(Default)]
struct Counters {
    updates: AtomicUsize,
    reads: AtomicUsize,
    questions: AtomicUsize,
}

/// A running relay. It ends with this value.
pub struct Relay {
    address: SocketAddr,
    counters: Arc<Counters>,
    // Ends what it holds.
    _tasks: JoinSet<()>,
}

impl Relay {
    /// In front of this server, on one port for TCP and UDP.
    pub async fn start(server: SocketAddr) -> Result<Self> {
        let (listener, socket) = listen().await?;
        let address = listener.local_addr().context("a listener without an address")?;
        let counters = Arc::new(Counters::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(by_tcp(listener, server, counters.clone()));
        tasks.spawn(by_udp(Arc::new(socket), server, counters.clone()));
        Ok(Self {
            address,
            counters,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was sent so far.
    pub fn seen(&self) -> Seen {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        Seen {
            updates: count(&self.counters.updates),
            reads: count(&self.counters.reads),
            questions: count(&self.counters.questions),
        }
    }
}

async fn listen() -> Result<(TcpListener, UdpSocket)> {
    for _ in 0..ATTEMPTS {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        if let Ok(socket) = UdpSocket::bind(listener.local_addr()?).await {
            return Ok((listener, socket));
        }
    }
    bail!("no port of the loopback is free for TCP and UDP")
}

async fn by_tcp(listener: TcpListener, server: SocketAddr, counters: Arc<Counters>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let counters = counters.clone();
        // One that goes wrong tells its client so, by ending.
        connections.spawn(async move { pass(client, server, &counters).await });
        while connections.try_join_next().is_some() {}
    }
}

async fn pass(client: TcpStream, server: SocketAddr, counters: &Counters) -> Result<()> {
    let upstream = TcpStream::connect(server).await?;
    upstream.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let asking = async {
        loop {
            let length = from_client.read_u16().await?;
            let mut message = vec![0; length.into()];
            from_client.read_exact(&mut message).await?;
            // The code is in the four bits after the first one of the third octet (RFC 1035, 4.1.1).
            let is_update = message.get(2).is_some_and(|octet| octet >> 3 & 0xf == UPDATE);
            let counter = if is_update { &counters.updates } else { &counters.reads };
            counter.fetch_add(1, Ordering::Relaxed);
            let framed = [length.to_be_bytes().as_slice(), &message].concat();
            to_server.write_all(&framed).await?;
        }
    };
    let answering = async { tokio::io::copy(&mut from_server, &mut to_client).await.map(drop) };
    let ended: std::io::Result<()> = tokio::select! { ended = asking => ended, ended = answering => ended };
    Ok(ended?)
}

async fn by_udp(socket: Arc<UdpSocket>, server: SocketAddr, counters: Arc<Counters>) {
    let mut questions = JoinSet::new();
    let mut buffer = vec![0; 65_535];
    while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
        counters.questions.fetch_add(1, Ordering::Relaxed);
        let (socket, question) = (socket.clone(), buffer.get(..length).unwrap_or_default().to_vec());
        questions.spawn(async move { ask(&socket, client, server, &question).await });
        while questions.try_join_next().is_some() {}
    }
}

async fn ask(socket: &UdpSocket, client: SocketAddr, server: SocketAddr, question: &[u8]) -> Result<()> {
    let upstream = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    upstream.connect(server).await?;
    upstream.send(question).await?;
    let mut answer = vec![0; 65_535];
    let length = timeout(ANSWER, upstream.recv(&mut answer)).await??;
    socket.send_to(answer.get(..length).unwrap_or_default(), client).await?;
    Ok(())
}
