//! What a name server is sent by TCP, passed on; one update may be passed on and its answer kept back.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The code of an update (RFC 2136, 2.2).
const UPDATE: u8 = 5;

/// A running relay. It ends with this value.
pub struct Relay {
    address: SocketAddr,
    /// How many updates it is until the one of which nothing is told; 0: none is.
    left: Arc<AtomicUsize>,
    // Ends what it holds.
    _tasks: JoinSet<()>,
}

impl Relay {
    /// In front of this server.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let left = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let counter = left.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let counter = counter.clone();
                // One that goes wrong tells its client so, by ending.
                connections.spawn(async move { pass(client, server, &counter).await });
            }
        });
        Self {
            address,
            left,
            _tasks: tasks,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Of the update with this number, the next being 1, nothing is told: the server does it, and the connection stays
    /// open.
    pub fn keep_back(&self, number: usize) {
        self.left.store(number, Ordering::SeqCst);
    }

    /// Whether that is still to come.
    pub fn is_planned(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, left: &AtomicUsize) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(server).await?;
    loop {
        tokio::select! {
            length = client.read_u16() => {
                let message = rest(&mut client, length?).await?;
                // The code is in the four bits after the first one of the third octet (RFC 1035, 4.1.1).
                let is_update = message[2] >> 3 & 0xf == UPDATE;
                let counted = |left: usize| left.checked_sub(1);
                let before = if is_update { left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, counted) } else { Err(0) };
                send(&mut upstream, &message).await?;
                if before == Ok(1) {
                    // It is done once the server has told so.
                    let length = upstream.read_u16().await?;
                    rest(&mut upstream, length).await?;
                    return until_it_leaves(client).await;
                }
            }
            length = upstream.read_u16() => {
                let message = rest(&mut upstream, length?).await?;
                send(&mut client, &message).await?;
            }
        }
    }
}

async fn rest(stream: &mut TcpStream, length: u16) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn send(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).unwrap();
    let framed = [length.to_be_bytes().as_slice(), message].concat();
    stream.write_all(&framed).await
}

async fn until_it_leaves(mut client: TcpStream) -> std::io::Result<()> {
    let mut some = [0; 1024];
    while client.read(&mut some).await? > 0 {}
    Ok(())
}
