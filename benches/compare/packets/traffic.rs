//! Traffic between two pods, both ends of it on this thread.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Bytes of a question and its answer: a DNS message without much in it.
const QUESTION: usize = 64;

/// Bytes of a datagram that carries a body: QUIC's, so that it fits everywhere.
const DATAGRAM: usize = 1_200;

/// Sent before somebody reads: less than any socket's buffer holds.
const WINDOW: usize = 32;

/// Written at once: what `sendfile` and most servers hand over.
const PIECE: usize = 64 << 10;

/// How long a stream may stand still before the bench is broken.
const PATIENCE: Duration = Duration::from_secs(5);

/// What something took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// Of this thread, with the softirqs that ran on it.
    pub(crate) cpu: Duration,
}

/// The cost of some code.
pub(crate) fn cost(code: impl FnOnce()) -> Cost {
    let (started, cpu) = (Instant::now(), thread_time());
    code();
    Cost {
        wall: started.elapsed(),
        cpu: thread_time().saturating_sub(cpu),
    }
}

/// Opens so many connections one after the other; each is accepted, and closed by both ends.
pub(crate) fn connect(count: u32, target: SocketAddr, listener: &TcpListener) {
    for _ in 0..count {
        let client = TcpStream::connect(target).expect("the table leads to the server");
        let (server, _) = listener.accept().expect("it is there already");
        // Closed by a reset, or the ports would run out.
        set_socket_linger(&client, Some(Duration::ZERO)).expect("an option of every socket");
        drop(client);
        drop(server);
    }
}

/// Asks so many times on one socket, and answers on that of the endpoint which it leads to; the time of each question
/// and answer is added to `times`.
pub(crate) fn ask(
    count: usize,
    target: SocketAddr,
    servers: &[UdpSocket],
    times: &mut Vec<Duration>,
) {
    let client = UdpSocket::bind("0.0.0.0:0").expect("a port");
    client.connect(target).expect("a route");
    for socket in servers.iter().chain([&client]) {
        socket
            .set_nonblocking(true)
            .expect("an option of every socket");
    }
    let mut buffer = [0; 2 * QUESTION];
    // The first one opens the connection that is tracked.
    client.send(&[1; QUESTION]).expect("there is room");
    let mut asked = servers.iter();
    let server = asked.find(|server| server.peek_from(&mut buffer).is_ok());
    let server = server.expect("one of them is asked");
    for number in 0..=count {
        let started = Instant::now();
        if number > 0 {
            client.send(&[1; QUESTION]).expect("there is room");
        }
        let (length, from) = server
            .recv_from(&mut buffer)
            .expect("the question is there");
        server
            .send_to(&buffer[..length], from)
            .expect("there is room");
        let answered = client.recv(&mut buffer).expect("the answer is there");
        assert_eq!(answered, QUESTION);
        if number > 0 {
            times.push(started.elapsed());
        }
    }
}

/// Sends so many datagrams of one flow, of which the endpoint answers the first: that makes it an established one.
pub(crate) fn flood(count: usize, target: SocketAddr, servers: &[UdpSocket]) {
    let client = UdpSocket::bind("0.0.0.0:0").expect("a port");
    client.connect(target).expect("a route");
    for server in servers {
        server
            .set_nonblocking(true)
            .expect("an option of every socket");
    }
    let mut buffer = [0; DATAGRAM];
    client.send(&[1; DATAGRAM]).expect("there is room");
    let mut asked = servers.iter();
    let answered = asked.find_map(|server| {
        let (_, from) = server.recv_from(&mut buffer).ok()?;
        Some((server, from))
    });
    let (server, from) = answered.expect("one of them is asked");
    server.send_to(&[1; DATAGRAM], from).expect("there is room");
    client.recv(&mut buffer).expect("the answer is there");
    let mut left = count;
    while left > 0 {
        let window = WINDOW.min(left);
        for _ in 0..window {
            client.send(&[1; DATAGRAM]).expect("there is room");
        }
        for _ in 0..window {
            server.recv_from(&mut buffer).expect("it is there");
        }
        left -= window;
    }
}

/// Sends so many bytes over one connection.
pub(crate) fn stream(bytes: usize, target: SocketAddr, listener: &TcpListener) {
    let mut client = TcpStream::connect(target).expect("the table leads to the server");
    let (mut server, _) = listener.accept().expect("it is there already");
    for end in [&client, &server] {
        end.set_nonblocking(true)
            .expect("an option of every socket");
    }
    let (piece, mut buffer) = (vec![7; PIECE], vec![0; PIECE]);
    let (mut sent, mut received, mut moved) = (0, 0, Instant::now());
    while received < bytes {
        let before = (sent, received);
        sent += some(client.write(&piece[..PIECE.min(bytes - sent)]));
        received += some(server.read(&mut buffer));
        if before != (sent, received) {
            moved = Instant::now();
        }
        assert!(moved.elapsed() < PATIENCE, "the stream stands still");
    }
}

/// What could be done at once.
fn some(done: std::io::Result<usize>) -> usize {
    match done {
        Ok(count) => count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => panic!("the connection broke: {error}"),
    }
}

fn thread_time() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, rest) = (u64::try_from(tv_sec), u32::try_from(tv_nsec));
    Duration::new(
        seconds.expect("time does not run backwards"),
        rest.expect("less than a second"),
    )
}
