use super::*;

#[test]
fn one_line_however_long_or_hostile_the_value() {
    let value = format!("a\nb\u{1b}[31m{}", "x".repeat(1000));
    let quoted = Quoted(&value).to_string();
    assert!(quoted.starts_with(r#""a\nb\u{1b}[31m"#), "{quoted}");
    assert!(quoted.ends_with("...\""), "{quoted}");
    assert!(quoted.len() < 120, "{quoted}");

    let line = OneLine(&value).to_string();
    assert!(line.starts_with("a b\\u{1b}[31m"), "{line}");
    assert!(line.ends_with("..."), "{line}");
    assert!(!line.contains('\n') && line.len() < 400, "{line}");
}

#[test]
fn names_kind_namespace_name_and_field() {
    let mut report = Report::new("Service", ObjectName::new("default", "web"));
    report.invalid("spec.ports[0].port", "70000 is not a port");
    assert_eq!(
        report.finish()[0].to_string(),
        "Service default/web spec.ports[0].port: 70000 is not a port"
    );
}

#[test]
fn ten_thousand_problems_of_one_object_stay_a_handful() {
    let mut report = Report::new("Ingress", ObjectName::new("default", "huge"));
    for at in 0..10_000 {
        report.invalid(format_args!("spec.rules[{at}].host"), "is not a host");
    }
    let problems = report.finish();
    assert_eq!(problems.len(), PER_OBJECT + 1);
    assert!(
        problems[PER_OBJECT].message.contains("9980"),
        "{}",
        problems[PER_OBJECT]
    );
}
