//! Flags as Go programs take them, because command lines are moved here from kube-proxy.

use std::any::TypeId;
use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// Makes booleans take a value after an equals sign, and the last of several values of a flag count.
pub(super) fn as_in_go(command: Command) -> Command {
    command
        .args_override_self(true)
        .mut_args(boolean_as_in_go)
        .mut_subcommands(as_in_go)
}

fn boolean_as_in_go(argument: Arg) -> Arg {
    if argument.get_value_parser().type_id() != TypeId::of::<bool>() {
        return argument;
    }
    let is_optional = matches!(argument.get_action(), ArgAction::Set);
    let has_default = !argument.get_default_values().is_empty();
    let argument = argument
        .action(ArgAction::Set)
        .value_name("BOOL")
        .value_parser(boolean)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true");
    match is_optional || has_default {
        true => argument,
        false => argument.default_value("false"),
    }
}

/// The spellings of `strconv.ParseBool`.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("say true or false".to_owned()),
    }
}

/// The arguments with `--cluster_cidr` spelled `--cluster-cidr`: both are the same to kube-proxy.
pub(super) fn with_dashes(
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
) -> impl Iterator<Item = OsString> {
    arguments.into_iter().map(|argument| {
        let argument = argument.into();
        let Some(text) = argument.to_str().filter(|text| text.starts_with("--")) else {
            return argument;
        };
        match text.split_once('=') {
            Some((name, value)) => format!("{}={value}", name.replace('_', "-")).into(),
            None => text.replace('_', "-").into(),
        }
    })
}

/// Those of the flags that are on the command line.
pub(super) fn given(matches: &ArgMatches, flags: &Command) -> Vec<String> {
    let flags = flags.get_arguments().filter(|flag| {
        let id = flag.get_id().as_str();
        // Not every subcommand has all of them.
        let has = matches.try_contains_id(id).is_ok();
        has && matches.value_source(id) == Some(ValueSource::CommandLine)
    });
    let flags = flags.filter_map(|flag| flag.get_long());
    flags.map(|name| format!("--{name}")).collect()
}
