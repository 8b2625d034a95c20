use super::*;

#[test]
fn counters_types_and_bounds_are_rewritten() {
    let text = "\
# HELP seen Things seen.
# TYPE seen counter
seen_total{le=\"1.0\"} 3
# HELP took How long.
# TYPE took histogram
# UNIT took seconds
took_sum 150.0
took_count 2
took_bucket{le=\"0.001\"} 0
took_bucket{le=\"1.0\",ip_family=\"IPv4\"} 1
took_bucket{le=\"+Inf\",path=\"/v1.0\"} 2
# HELP what Anything.
# TYPE what unknown
what 7
# HELP build This.
# TYPE build info
build_info{version=\"1\"} 1
# EOF
";
    let expected = "\
# HELP seen_total Things seen.
# TYPE seen_total counter
seen_total{le=\"1.0\"} 3
# HELP took How long.
# TYPE took histogram
took_sum 150.0
took_count 2
took_bucket{le=\"0.001\"} 0
took_bucket{le=\"1\",ip_family=\"IPv4\"} 1
took_bucket{le=\"+Inf\",path=\"/v1.0\"} 2
# HELP what Anything.
# TYPE what untyped
what 7
# HELP build_info This.
# TYPE build_info gauge
build_info{version=\"1\"} 1
";
    assert_eq!(from_open_metrics(text), expected);
}
