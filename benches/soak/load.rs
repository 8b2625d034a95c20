//! Clients. Each is a loop on one thread, with a period of its own.

mod connect;
mod web_socket;

use std::cell::RefCell;
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fairway_testkit::ask::Answer;
use futures_util::future::try_join_all;
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::site::{PLAIN, SECURE, Site};
use crate::tally::{Kind, Tally};
use connect::{Dial, Http1, Http2};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Body = BoxBody<Bytes, std::convert::Infallible>;

/// An exchange that takes longer has failed: the longest is to take two seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// Bytes of an upload, in chunks.
const CHUNK: usize = 8 * 1024;
const CHUNKS: usize = 8;

/// What the loops share.
struct Clients {
    dial: Dial,
    tally: RefCell<Tally>,
    stop: Arc<AtomicBool>,
    start: Instant,
}

/// Sends requests of all kinds until it is told to stop, and finishes those that are open.
pub(crate) fn run(site: &Site, stop: &Arc<AtomicBool>) -> Tally {
    site.client().run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let clients = Rc::new(Clients {
            dial: Dial::new(site),
            tally: RefCell::default(),
            stop: stop.clone(),
            start: Instant::now(),
        });
        LocalSet::new().block_on(&runtime, all(clients.clone()));
        clients.tally.take()
    })
}

/// About 230 exchanges a second, 30 of them on new connections.
async fn all(clients: Rc<Clients>) {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        tasks.spawn_local(kept(clients.clone()));
    }
    for _ in 0..2 {
        tasks.spawn_local(fresh(clients.clone()));
        tasks.spawn_local(handshakes(clients.clone()));
        tasks.spawn_local(streams(clients.clone()));
        tasks.spawn_local(uploads(clients.clone()));
        tasks.spawn_local(downloads(clients.clone()));
    }
    for number in 0..10 {
        tasks.spawn_local(web_socket::talk(clients.clone(), number));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("clients do not panic");
    }
}

impl Clients {
    /// Does something again and again, and counts what came of it.
    async fn repeat(
        &self,
        kind: Kind,
        period: Duration,
        mut exchange: impl AsyncFnMut() -> Result<u64>,
    ) {
        let mut due = interval(period);
        // Clients of a machine that is too busy send less, not more.
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.stop.load(Ordering::Acquire) {
            due.tick().await;
            let began = Instant::now();
            let result = match timeout(PATIENCE, exchange()).await {
                Ok(result) => result,
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            };
            let since_start = self.start.elapsed();
            self.tally
                .borrow_mut()
                .record(kind, began, result, since_start);
        }
    }

    /// Checks that a pod has answered.
    fn answered(&self, body: &[u8]) -> Result<()> {
        let answer: Answer = serde_json::from_slice(body)?;
        self.tally.borrow_mut().pods.insert(answer.pod);
        Ok(())
    }

    async fn http1(&self, kept: &mut Option<Http1>, tls: bool) -> Result<()> {
        let mut sender = match kept.take() {
            Some(mut sender) => match sender.ready().await {
                Ok(()) => sender,
                // The router may end a connection between two requests.
                Err(_) => self.open(tls).await?,
            },
            None => self.open(tls).await?,
        };
        let host = if tls { SECURE } else { PLAIN };
        let response = sender.send_request(get("/", host)?).await?;
        self.answered(&whole(response).await?)?;
        *kept = Some(sender);
        Ok(())
    }

    async fn open(&self, tls: bool) -> Result<Http1> {
        self.tally.borrow_mut().connections += 1;
        match tls {
            false => self.dial.http1().await,
            true => {
                let (sender, certificate) = self.dial.http1_over_tls().await?;
                self.tally.borrow_mut().certificates.insert(certificate);
                Ok(sender)
            }
        }
    }
}

async fn kept(clients: Rc<Clients>) {
    let mut connection = None;
    clients
        .repeat(Kind::Kept, Duration::from_millis(80), async || {
            clients.http1(&mut connection, false).await?;
            Ok(1)
        })
        .await;
}

async fn fresh(clients: Rc<Clients>) {
    clients
        .repeat(Kind::Fresh, Duration::from_millis(100), async || {
            clients.http1(&mut None, false).await?;
            Ok(1)
        })
        .await;
}

async fn handshakes(clients: Rc<Clients>) {
    clients
        .repeat(Kind::Handshake, Duration::from_millis(200), async || {
            clients.http1(&mut None, true).await?;
            Ok(1)
        })
        .await;
}

async fn streams(clients: Rc<Clients>) {
    const AT_ONCE: u64 = 4;
    let mut connection: Option<Http2> = None;
    clients
        .repeat(Kind::Streams, Duration::from_millis(100), async || {
            let mut open = connection.take();
            if let Some(sender) = &mut open
                && sender.ready().await.is_err()
            {
                open = None;
            }
            let sender = match open {
                Some(sender) => sender,
                None => {
                    clients.tally.borrow_mut().connections += 1;
                    clients.dial.http2().await?
                }
            };
            let one = async || {
                let mut sender = sender.clone();
                let request = Request::get(format!("https://{SECURE}/"));
                let response = sender.send_request(request.body(empty())?).await?;
                clients.answered(&whole(response).await?)
            };
            try_join_all((0..AT_ONCE).map(|_| one())).await?;
            connection = Some(sender);
            Ok(AT_ONCE)
        })
        .await;
}

async fn uploads(clients: Rc<Clients>) {
    let mut connection = None;
    clients
        .repeat(Kind::Upload, Duration::from_millis(500), async || {
            let mut sender: Http1 = match connection.take() {
                Some(sender) => sender,
                None => clients.open(false).await?,
            };
            if sender.ready().await.is_err() {
                sender = clients.open(false).await?;
            }
            let chunk = Bytes::from(vec![b'u'; CHUNK]);
            let chunks = (0..CHUNKS).map(move |_| Ok(Frame::data(chunk.clone())));
            let body = StreamBody::new(futures_util::stream::iter(chunks));
            let request = Request::post("/?mirror").header(header::HOST, PLAIN);
            let response = sender
                .send_request(request.body(BodyExt::boxed(body))?)
                .await?;
            let body = whole(response).await?;
            if body.len() != CHUNK * CHUNKS {
                return Err(format!("{} bytes came back", body.len()).into());
            }
            connection = Some(sender);
            Ok(1)
        })
        .await;
}

async fn downloads(clients: Rc<Clients>) {
    clients
        .repeat(Kind::Download, Duration::from_millis(500), async || {
            let mut sender = clients.open(true).await?;
            let request = get("/?chunks=21&every=100", SECURE)?;
            let body = whole(sender.send_request(request).await?).await?;
            match body.ends_with(b"chunk 20\nchunk 21\n") {
                true => Ok(1),
                false => Err(format!("{} bytes, without the last chunk", body.len()).into()),
            }
        })
        .await;
}

fn get(path: &str, host: &str) -> Result<Request<Body>> {
    let request = Request::get(path).header(header::HOST, host);
    Ok(request.body(empty())?)
}

fn empty() -> Body {
    Empty::new().boxed()
}

/// The body of a response that is 200.
async fn whole(response: Response<Incoming>) -> Result<Bytes> {
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    match status {
        StatusCode::OK => Ok(body),
        status => Err(format!("{status}: {}", body.escape_ascii()).into()),
    }
}
