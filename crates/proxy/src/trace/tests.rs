use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn parse(text: &str) -> Option<Context> {
    Context::parse(&HeaderValue::from_bytes(text.as_bytes()).unwrap())
}

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(TRACEPARENT, value.parse().unwrap());
    }
    headers.insert(TRACESTATE, HeaderValue::from_static("a=1"));
    headers
}

fn on(sample_ratio: f64) -> Tracing {
    Tracing {
        enabled: true,
        sample_ratio,
        ..Tracing::default()
    }
}

/// What the endpoint is told, and whether the trace's state goes with it.
fn forwarded(tracing: &Tracing, values: &[&str], trusted: bool) -> (String, bool) {
    let random = Random::new();
    let mut headers = headers(values);
    if let Some(trace) = tracing.begin(&headers, trusted, true, &random) {
        trace.forward(&mut headers, &random);
    }
    let parent = headers.get(TRACEPARENT).unwrap().to_str().unwrap();
    (parent.to_owned(), headers.contains_key(TRACESTATE))
}

#[test]
fn a_header_is_read_and_written_alike() {
    let context = parse(PARENT).unwrap();
    assert!(context.sampled);
    assert_eq!(context.text(), PARENT.as_bytes());
    assert_eq!(&context.trace_digits(), b"4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(&context.span_digits(), b"00f067aa0ba902b7");
    assert!(!parse(&PARENT.replace("-01", "-00")).unwrap().sampled);
    // Flags that we do not know, and a version that is yet to come.
    assert!(parse(&PARENT.replace("-01", "-ff")).unwrap().sampled);
    for later in [
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        PARENT,
    ] {
        let more = format!("{later}-what-comes");
        assert_eq!(parse(&more).is_some(), later != PARENT, "{more}");
        assert!(parse(later).is_some());
    }
}

#[test]
fn what_the_specification_wants_ignored_is() {
    let short = &PARENT[..54];
    for text in [
        "",
        short,
        &PARENT.to_uppercase(),
        &PARENT.replacen("00", "ff", 1),
        &PARENT.replacen("00", "0g", 1),
        &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
        &PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
        &PARENT.replace('-', "_"),
        &format!("{PARENT}0"),
        &format!("01{}x", &PARENT[2..]),
        &"\u{e4}".repeat(40),
    ] {
        assert_eq!(parse(text), None, "{text:?}");
    }
}

#[test]
fn off_it_touches_nothing() {
    let off = Tracing::default();
    assert_eq!(forwarded(&off, &[PARENT], true), (PARENT.to_owned(), true));
    assert_eq!(
        forwarded(&off, &["nonsense"], true),
        ("nonsense".to_owned(), true)
    );
    // The log knows the client's trace all the same.
    let random = Random::new();
    let trace = off
        .begin(&headers(&[PARENT]), false, true, &random)
        .unwrap();
    assert_eq!(trace.context, parse(PARENT).unwrap());
    assert!(
        off.begin(&headers(&[PARENT]), false, false, &random)
            .is_none()
    );
}

#[test]
fn a_trace_goes_on_and_its_decision_holds() {
    for (flags, ratio) in [("01", 0.0), ("00", 1.0)] {
        let parent = PARENT.replace("-01", &format!("-{flags}"));
        let (told, state) = forwarded(&on(ratio), &[&parent], false);
        assert_eq!(told[..36], parent[..36]);
        assert_ne!(told[36..52], parent[36..52], "the span is ours");
        assert_eq!((&told[53..], state), (flags, true));
    }
}

#[test]
fn a_trace_starts_where_there_is_none_that_counts() {
    let careful = Tracing {
        trusted_only: true,
        ..on(1.0)
    };
    for (tracing, values, trusted) in [
        (on(1.0), &[][..], true),
        (on(1.0), &["nonsense"], true),
        (on(1.0), &[PARENT, PARENT], true),
        (careful.clone(), &[PARENT], false),
    ] {
        let (told, state) = forwarded(&tracing, values, trusted);
        let context = parse(&told).unwrap();
        assert!(context.sampled && !told.contains(&PARENT[3..35]), "{told}");
        assert!(!state, "it was another trace's");
    }
    assert_eq!(forwarded(&careful, &[PARENT], true).0[..36], PARENT[..36]);
    assert!(forwarded(&on(0.0), &[], true).0.ends_with("-00"));
}

#[test]
fn no_two_spans_are_alike() {
    let random = Random::new();
    let tracing = on(0.5);
    let traces: Vec<_> = (0..1000)
        .map(|_| {
            tracing
                .begin(&HeaderMap::new(), false, false, &random)
                .unwrap()
        })
        .collect();
    let distinct: std::collections::BTreeSet<_> = traces
        .iter()
        .map(|trace| (trace.context.trace_id, trace.context.span_id))
        .collect();
    assert_eq!(distinct.len(), traces.len());
    let sampled = traces.iter().filter(|trace| trace.context.sampled).count();
    // Ten standard deviations.
    assert!((340..660).contains(&sampled), "{sampled}");
}
