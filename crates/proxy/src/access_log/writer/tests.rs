use std::io::{ErrorKind, Write};
use std::sync::Mutex;
use std::sync::mpsc::SyncSender;

use super::*;
use crate::metrics::Metrics;

/// What takes so many bytes and fails then, like a disk.
struct Disk {
    room: usize,
    content: Vec<u8>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room);
        if count == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        self.room -= count;
        self.content.extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has lines written, and waits until they are or are lost.
fn write(sender: &SyncSender<Batch>, lines: &[&str]) {
    let (home, returned) = sync_channel(1);
    let text: Vec<u8> = lines.concat().into();
    let lines = lines.len() as u64;
    let home = Some(home);
    sender.send(Batch { text, lines, home }).unwrap();
    returned.recv().unwrap();
}

#[test]
fn what_cannot_be_written_is_counted_and_cuts_no_line() {
    let disk = Arc::new(Mutex::new(Disk {
        room: 0,
        content: Vec::new(),
    }));
    let shard = Metrics::default().shard();
    let log = AccessLog::Writer(disk.clone());
    let writer = Writer::start(&log, shard.clone()).unwrap().unwrap();
    let lost = || shard.log_lines_dropped.get();
    // Room for so many bytes more, two lines, and how many lines are lost by then.
    for (room, lines, expected) in [
        // The second line is begun, and stays in mind.
        (12, ["line 1\n", "line 2\n"], 0),
        (0, ["line 3\n", "line 4\n"], 2),
        (1, ["line 5\n", "line 6\n"], 4),
        (100, ["line 7\n", "line 8\n"], 4),
        // A second time, between two lines.
        (7, ["line 9\n", "line a\n"], 5),
        (100, ["line b\n", "line c\n"], 5),
    ] {
        disk.lock().unwrap().room = room;
        write(&writer.sender, &lines);
        assert_eq!(lost(), expected, "{lines:?}");
    }
    let text = String::from_utf8(disk.lock().unwrap().content.clone()).unwrap();
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "line 1", "line 2", "line 7", "line 8", "line 9", "line b", "line c"
        ]
    );
}
