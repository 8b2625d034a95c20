//! What a process uses is seen: in a process of its own, because other tests would use some as well.

use std::fs::File;
use std::hint::black_box;
use std::time::Duration;

use fairway_testkit::usage::{Memory, cpu, open_files, threads};

#[test]
fn what_this_process_takes_is_seen() {
    const MORE: usize = 32 << 20;
    let own = std::process::id();
    let (memory, files, time) = (Memory::of(own), open_files(own), cpu(own));
    assert!(memory.anonymous <= memory.resident && memory.resident <= memory.peak);

    let taken = vec![1_u8; MORE];
    let now = Memory::of(own);
    assert!(
        now.anonymous >= memory.anonymous + (MORE as u64 >> 11),
        "{now:?}"
    );
    drop(black_box(taken));

    let open: Vec<_> = (0..200).map(|_| File::open("/dev/null").unwrap()).collect();
    assert_eq!(open_files(own), files + 200);
    drop(open);
    assert_eq!(open_files(own), files);

    let before = threads(own);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(threads(own), before + 1));
    });
    while cpu(own) < time + Duration::from_millis(20) {
        black_box(Memory::of(own));
    }
}
