//! WebSockets, as far as a router sees them: an upgrade, and bytes.

use std::rc::Rc;
use std::time::Duration;

use http::{Request, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Clients, Result, empty};
use crate::site::{PLAIN, SECURE};
use crate::tally::Kind;

/// Messages after which every second WebSocket is opened anew; the others stay to the end.
const MESSAGES: u64 = 30;

pub(super) async fn talk(clients: Rc<Clients>, number: u64) {
    let (tls, stays) = (number.is_multiple_of(2), number % 4 < 2);
    let mut open: Option<TokioIo<Upgraded>> = None;
    let mut count = 0;
    clients
        .repeat(Kind::WebSocket, Duration::from_millis(500), async || {
            count += 1;
            let mut socket = match open.take() {
                Some(socket) if stays || count % MESSAGES != 0 => socket,
                // One that stays must not be lost: an error is one, and counts.
                _ => upgrade(&clients, tls).await?,
            };
            let message = [(count % 251) as u8; 1024];
            socket.write_all(&message).await?;
            socket.flush().await?;
            let mut echo = [0; 1024];
            socket.read_exact(&mut echo).await?;
            if echo != message {
                return Err("another message came back".into());
            }
            open = Some(socket);
            Ok(1)
        })
        .await;
}

async fn upgrade(clients: &Clients, tls: bool) -> Result<TokioIo<Upgraded>> {
    let mut sender = clients.open(tls).await?;
    let request = Request::get("/")
        .header(header::HOST, if tls { SECURE } else { PLAIN })
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    let response = sender.send_request(request.body(empty())?).await?;
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => Ok(TokioIo::new(hyper::upgrade::on(response).await?)),
        status => Err(format!("{status} instead of an upgrade").into()),
    }
}
