//! For fuzz targets: responses without sockets.

use bytes::BytesMut;
use http::header::HeaderMap;
use http::{Method, StatusCode};

use super::decoder::Decoded;
use super::response;
use crate::fuzzing::Message;

/// What all the bytes of a connection, read in pieces of this length, answer to a request; None where there is no
/// complete response.
pub fn response(method: &Method, bytes: &[u8], piece: usize) -> Option<Message> {
    let is_head = *method == Method::HEAD;
    let mut received = BytesMut::new();
    let mut pieces = bytes.chunks(piece);
    let mut looked_at = 0;
    let (head, mut decoder) = loop {
        match response::parse(&mut received, looked_at, is_head, &mut HeaderMap::new()).ok()? {
            Some(head) if head.response.status() == StatusCode::SWITCHING_PROTOCOLS => return None,
            Some(head) if head.response.status().is_informational() => looked_at = 0,
            Some(head) => break (head.response, head.decoder),
            None => {
                looked_at = received.len();
                received.extend_from_slice(pieces.next()?);
            }
        }
    };
    let mut message = Message {
        status: head.status(),
        headers: head.headers().clone(),
        body: Vec::new(),
        trailers: HeaderMap::new(),
    };
    loop {
        match decoder.decode(&mut received).ok()? {
            Decoded::Data(data) => message.body.extend_from_slice(&data),
            Decoded::Trailers(trailers) => message.trailers = trailers,
            Decoded::End => return Some(message),
            Decoded::Incomplete => match pieces.next() {
                Some(piece) => received.extend_from_slice(piece),
                None if decoder.close() => return Some(message),
                None => return None,
            },
        }
    }
}
