use fairway_model::Balance;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::problem::{Quoted, Report};

pub(super) const BALANCE: &str = "fairway.dev/balance";

/// How a Service's endpoints are chosen.
pub(super) fn balance(metadata: &ObjectMeta, report: &mut Report) -> Balance {
    let annotations = metadata.annotations.as_ref();
    match annotations.and_then(|annotations| annotations.get(BALANCE)) {
        None => Balance::Random,
        Some(text) => match text.trim() {
            "random" => Balance::Random,
            "maglev" => Balance::Maglev,
            "maglev-connection" => Balance::MaglevConnection,
            other => {
                let field = format_args!("metadata.annotations[{BALANCE}]").to_string();
                let message = format_args!(
                    "{} is neither random, maglev nor maglev-connection; endpoints are drawn at random",
                    Quoted(other)
                );
                report.invalid(field, message);
                Balance::Random
            }
        },
    }
}
