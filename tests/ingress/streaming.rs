//! Exchanges that go on for a while: bodies in pieces, websockets, and what a change of routes
//! means to them.

use fairway_testkit::objects::ingress;
use fairway_testkit::{Lab, lab};

use super::conversation::Conversation;
use super::site::Site;
use crate::support::{Feed, fed_both_ways};

fed_both_ways!(a_new_route_is_for_new_requests);

fn site(feed: Feed) -> Site {
    let lab = Lab::builder()
        .nodes(1)
        .pod("old", "node-1")
        .pod("new", "node-1");
    let site = Site::start(feed, lab);
    site.apply_apps(&["old", "new"]);
    route(&site, "old");
    site
}

/// Sends everything to one pod from now on.
fn route(site: &Site, pod: &str) {
    site.apply(
        "web",
        [ingress("web").class("fairway").prefix("web", "/", pod, 80)],
    );
    site.becomes("web", "/", pod);
}

fn open(site: &Site) -> Conversation {
    Conversation::open(site.lab().client().ns(), site.router("node-1"))
}

/// A request whose answer repeats its body while it is being sent.
pub(super) fn start_mirror(conversation: &mut Conversation) {
    conversation.send("POST /?mirror HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n");
    conversation.send_chunk("first");
    let head = conversation.head();
    // Answered before its end is there, a request is the last one: nobody may want the rest of it.
    assert_eq!(
        (head.status, head.header("connection")),
        (200, Some("close"))
    );
    assert_eq!(conversation.chunk(), "first");
}

pub(super) fn finish_mirror(conversation: &mut Conversation) {
    conversation.send_chunk("second");
    assert_eq!(conversation.chunk(), "second");
    conversation.send("0\r\n\r\n");
    assert_eq!(conversation.chunk(), "");
}

pub(super) fn upgrade(conversation: &mut Conversation) {
    let headers = "Host: web\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    conversation.send(format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n"));
    assert_eq!(conversation.head().status, 101);
}

/// Sends a megabyte and reads it back, at the same time: neither side can hold it all.
pub(super) fn echo_a_megabyte(mut conversation: Conversation) -> Conversation {
    let bytes: Vec<u8> = (0..1u32 << 20).map(|index| (index % 251) as u8).collect();
    let mut writer = conversation.writer();
    std::thread::scope(|scope| {
        scope.spawn(|| std::io::Write::write_all(&mut writer, &bytes).unwrap());
        assert!(
            conversation.exactly(bytes.len()) == bytes,
            "other bytes came back"
        );
    });
    conversation
}

fn a_new_route_is_for_new_requests(feed: Feed) {
    let site = site(feed);
    let mut kept = open(&site);
    assert_eq!(kept.get("web", "/"), "old");
    let mut transfer = open(&site);
    start_mirror(&mut transfer);
    let mut websocket = open(&site);
    upgrade(&mut websocket);
    let websocket = echo_a_megabyte(websocket);

    route(&site, "new");
    finish_mirror(&mut transfer);
    assert_eq!(kept.get("web", "/"), "new", "a kept connection follows");
    let mut websocket = echo_a_megabyte(websocket);

    // Not even when the host is gone, and its pods.
    let mut transfer = open(&site);
    start_mirror(&mut transfer);
    site.delete("apps");
    site.delete("web");
    site.becomes("web", "/", "404");
    finish_mirror(&mut transfer);
    assert_eq!(kept.get("web", "/"), "404");
    websocket.send("still there");
    assert_eq!(websocket.exactly(11), b"still there");
}

#[test]
fn heads_and_empty_answers_have_no_body() {
    lab::test(|| {
        let site = site(Feed::Manifests);
        let mut client = open(&site);
        client.send("HEAD /?bytes=1000 HTTP/1.1\r\nHost: web\r\n\r\n");
        let head = client.head();
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some("1000"))
        );
        for status in [204, 304] {
            client.send(format!(
                "GET /?bytes=0&status={status} HTTP/1.1\r\nHost: web\r\n\r\n"
            ));
            assert_eq!(client.head().status, status);
        }
        // Had there been a body, this would read it as a head.
        assert_eq!(client.get("web", "/"), "old");
    });
}
