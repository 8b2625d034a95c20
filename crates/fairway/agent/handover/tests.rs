use std::os::linux::net::SocketAddrExt;
use std::time::Duration;

use super::*;

fn address(name: &str) -> blocking::SocketAddr {
    let name = format!("fairway-test-{name}-{}", std::process::id());
    blocking::SocketAddr::from_abstract_name(name).unwrap()
}

/// One agent at this address, and the next one that has asked for its place.
async fn meet(name: &str) -> (tokio::task::JoinHandle<io::Result<Predecessor>>, Successor) {
    let address = address(name);
    let socket = blocking::UnixListener::bind_addr(&address).unwrap();
    let mut asked = Successor::listen(socket).unwrap();
    let next = tokio::spawn(async move { Predecessor::replace(&address).await });
    (next, asked.recv().await.unwrap())
}

#[tokio::test]
async fn the_next_one_follows_when_it_serves() {
    let (next, successor) = meet("follows").await;
    let follows = tokio::spawn(successor.follows());
    let predecessor = next.await.unwrap().unwrap();
    predecessor.serving().await.unwrap();
    assert!(follows.await.unwrap());
}

#[tokio::test]
async fn the_next_one_that_fails_does_not_follow() {
    let (next, successor) = meet("fails").await;
    let follows = tokio::spawn(successor.follows());
    drop(next.await.unwrap().unwrap());
    assert!(!follows.await.unwrap());
}

#[tokio::test]
async fn who_says_something_else_is_not_heard_and_holds_up_nobody() {
    let address = address("else");
    let socket = blocking::UnixListener::bind_addr(&address).unwrap();
    let mut asked = Successor::listen(socket).unwrap();
    let mut stranger = blocking::UnixStream::connect_addr(&address).unwrap();
    std::io::Write::write_all(&mut stranger, b"hand over\n").unwrap();
    let next = tokio::spawn(async move { Predecessor::replace(&address).await });
    let limit = Duration::from_secs(5);
    let successor = timeout(limit, asked.recv()).await.unwrap().unwrap();
    drop(successor);
    assert!(next.await.unwrap().is_err());
}
