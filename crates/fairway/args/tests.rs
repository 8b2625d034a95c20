use super::*;

fn environment() -> Environment {
    Environment {
        node_name: None,
        host_name: "Host-1".to_owned(),
        processors: std::num::NonZeroUsize::MIN,
    }
}

fn parse(line: &str) -> Result<Invocation, clap::Error> {
    parse_from(line.split_whitespace(), &environment())
}

fn config(line: &str) -> Box<Config> {
    match parse(line).unwrap().command {
        Command::Run(config) => config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn commands_are_told_apart() {
    assert_eq!(
        parse("fairway demo --keep").unwrap().command,
        Command::Demo(Demo { keep: true })
    );
    assert_eq!(
        parse("fairway demo").unwrap().command,
        Command::Demo(Demo { keep: false })
    );
    assert_eq!(parse("fairway cleanup").unwrap().command, Command::Cleanup);
    let render = "fairway render --manifests dir --node-name N --cluster-cidr 10.0.0.0/8";
    match parse(render).unwrap().command {
        Command::Render(render) => {
            assert_eq!(render.manifests, PathBuf::from("dir"));
            assert_eq!(render.node_name, "n");
            assert!(render.rules != crate::config::Rules::default());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for line in [
        "fairway",
        "fairway frobnicate",
        "fairway run --frobnicate",
        "fairway run --manifests a --kubeconfig b",
        "fairway run --ingress=perhaps",
        "fairway run --workers 0",
        "fairway run --drain-seconds -1",
        "fairway run --log-format xml",
        "fairway run --cluster-cidr 10.0.0.0/8,10.1.0.0/16",
        "fairway render",
        "fairway demo stray",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for line in [
        "fairway --help",
        "fairway run --help",
        "fairway -h",
        "fairway --version",
    ] {
        assert_eq!(parse(line).expect_err(line).exit_code(), 0, "{line}");
    }
}

#[test]
fn a_wrong_value_is_named_with_its_flag() {
    let error = parse("fairway run --cluster-cidr 10.0.0.0/33")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("error: --cluster-cidr '10.0.0.0/33': expected a network"),
        "{error}"
    );
}

#[test]
fn usage_is_that_of_the_command_in_question() {
    let error = parse("fairway render --manifests m --cluster-cidr pods").unwrap_err();
    assert!(
        error.to_string().contains("Usage: fairway render"),
        "{error}"
    );
}

#[test]
fn booleans_are_spelled_as_for_kube_proxy() {
    assert!(config("fairway run --masquerade-all").rules.masquerade_all);
    assert!(
        config("fairway run --masquerade-all=1")
            .rules
            .masquerade_all
    );
    assert!(
        !config("fairway run --masquerade-all=False")
            .rules
            .masquerade_all
    );
    assert!(!config("fairway run").rules.masquerade_all);
    assert!(!config("fairway run --ingress=false").ingress);
    assert!(!config("fairway run --service-proxy=f").service_proxy);
    assert!(
        config("fairway run --watch-ingress-without-class")
            .router
            .watch_ingress_without_class
    );
}

#[test]
fn lists_are_repeated_or_separated_by_commas() {
    let repeated =
        config("fairway run --ingress-http-address [::]:80 --ingress-http-address [::]:81");
    let listed = config("fairway run --ingress-http-address [::]:80,[::]:81");
    assert_eq!(repeated.router.http_addresses, listed.router.http_addresses);
    assert_eq!(listed.router.http_addresses.len(), 2);
    let adopted =
        config("fairway run --controller fairway.dev/ingress --controller k8s.io/ingress-nginx");
    assert_eq!(
        adopted.router.controllers,
        ["fairway.dev/ingress", "k8s.io/ingress-nginx"]
    );
}

#[test]
fn logging_is_chosen_before_or_after_the_command() {
    for line in [
        "fairway --v=4 --log-format=json cleanup",
        "fairway cleanup --v 4 --log-format json",
        "fairway cleanup -v=4 --log-format json",
        "fairway cleanup -v4 --log-format json",
    ] {
        let logging = parse(line).expect(line).logging;
        let expected = Logging {
            format: Format::Json,
            verbosity: 4,
        };
        assert_eq!(logging, expected, "{line}");
    }
}
