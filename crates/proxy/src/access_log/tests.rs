use std::sync::mpsc::sync_channel;

use super::*;

fn line(user_agent: &[u8]) -> Line<'_> {
    Line {
        client: b"192.0.2.1",
        method: Some("GET"),
        host: Some(b"a.example"),
        path: Some("/"),
        status: 200,
        bytes: 64,
        duration: Duration::from_micros(1500),
        route: None,
        service: "",
        endpoint: None,
        tries: 0,
        request_id: None,
        user_agent: Some(user_agent),
        reason: None,
    }
}

fn text(user_agent: &[u8]) -> String {
    let mut out = Vec::new();
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    format(&line(user_agent), time, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line() {
    assert_eq!(
        text(b"curl"),
        "{\"time\":\"2023-11-14T22:13:20.123Z\",\"client\":\"192.0.2.1\",\"method\":\"GET\",\
         \"host\":\"a.example\",\"path\":\"/\",\"status\":200,\"bytes\":64,\"duration\":0.001500,\
         \"user_agent\":\"curl\"}\n"
    );
}

#[test]
fn any_bytes_make_one_valid_line() {
    for agent in [
        &b"\"\\\r\n\t\x1b[31m\0\x7f"[..],
        b"\xff\xfe\xc2",
        "\u{85}\u{9b}31m\u{2028}\u{2029}ä😀".as_bytes(),
        &[b'\\'; 5000],
    ] {
        let text = text(agent);
        let body = text.strip_suffix('\n').unwrap();
        assert!(!body.chars().any(char::is_control), "{body:?}");
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        assert!(value["user_agent"].as_str().unwrap().len() <= LONG * 3);
    }
}

#[test]
fn a_reader_that_is_too_slow_costs_lines_and_not_time() {
    let shard = crate::metrics::Metrics::default().shard();
    let (sender, batches) = sync_channel(1);
    let log = AccessLog::new(Some(sender), shard.clone());
    for _ in 0..3 {
        log.write(&line(b""));
        log.flush();
    }
    assert!(log.is_empty());
    assert_eq!(shard.log_lines_dropped.get(), 2);
    drop(log);
    assert_eq!(batches.iter().map(|batch| batch.lines).sum::<u64>(), 1);
}
