use super::*;
use crate::encode;

#[test]
fn the_command_may_hold_brackets_and_spaces() {
    let text = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 \
                250 50 0 0 20 0 3 0 7700 1048576 64 18446744073709551615 1 1\n";
    let expected = Stat {
        user_ticks: 250,
        system_ticks: 50,
        start_ticks: 7700,
        virtual_bytes: 1_048_576,
        resident_pages: 64,
    };
    assert_eq!(Stat::parse(text), Some(expected));
}

#[test]
fn what_is_cut_short_or_not_a_number_is_no_stat() {
    for text in [
        "",
        "42 (a",
        "42 (a) S 1 2 3",
        "42 (a) S x x x x x x x x x x x x x x x x x x x x x",
    ] {
        assert_eq!(Stat::parse(text), None, "{text}");
    }
}

#[test]
fn the_boot_time_is_found_among_other_lines() {
    assert_eq!(
        boot_time("cpu  1 2\nintr 9\nbtime 1795341600\nprocesses 3\n"),
        Some(1_795_341_600)
    );
    assert_eq!(boot_time("cpu 1"), None);
}

#[test]
fn this_process_has_memory_descriptors_and_a_past() {
    let mut registry = Registry::default();
    ProcessMetrics::register(&mut registry);
    let text = encode(&registry).unwrap();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}"))
            .trim()
            .parse()
            .unwrap()
    };
    assert!(value("process_resident_memory_bytes ") > 100_000.0);
    assert!(value("process_virtual_memory_bytes ") >= value("process_resident_memory_bytes "));
    assert!(value("process_open_fds ") >= 1.0);
    assert!(value("process_open_fds ") <= value("process_max_fds "));
    assert!(value("process_cpu_seconds_total ") >= 0.0);
    let now = jiff::Timestamp::now().as_second() as f64;
    let age = now - value("process_start_time_seconds ");
    // The boot time is a whole second, and a test run lasts minutes at most.
    assert!((-2.0..86_400.0).contains(&age), "started {age} s ago");
}
