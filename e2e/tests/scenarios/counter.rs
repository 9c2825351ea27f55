//! Counts what happens outside of the cluster, where no lost Job or restarted operator can make it forgotten.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What was posted, in its order: path and words.
type Posts = Arc<Mutex<Vec<(String, String)>>>;

/// A server that takes notes. It ends with this value.
pub struct Counter {
    address: SocketAddr,
    posts: Posts,
    server: JoinHandle<()>,
}

impl Counter {
    /// Listens on an address of this machine that pods reach.
    pub async fn start(address: Ipv4Addr) -> Result<Self> {
        let listener = TcpListener::bind((address, 0))
            .await
            .context("failed to listen for the counts")?;
        let address = listener.local_addr().context("a listener without an address")?;
        let posts = Posts::default();
        let router = Router::new().fallback(note).with_state(posts.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("the counter's server") });
        Ok(Self { address, posts, server })
    }

    /// Where to post under that path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What was posted under that path.
    pub fn posted(&self, path: &str) -> Vec<String> {
        let posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts
            .iter()
            .filter(|(to, _)| to == path)
            .map(|(_, words)| words.clone())
            .collect()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn note(State(posts): State<Posts>, uri: Uri, words: String) -> StatusCode {
    let post = (uri.path().to_owned(), words.trim().to_owned());
    posts.lock().unwrap_or_else(PoisonError::into_inner).push(post);
    StatusCode::NO_CONTENT
}
