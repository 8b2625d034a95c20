//! `fairway`: arguments, configuration, build, run, drain.

mod args;
mod config;
mod logging;

use std::process::ExitCode;

use tracing::{error, info, warn};

use crate::config::Command;

fn main() -> ExitCode {
    let invocation = args::parse();
    invocation.logging.start();
    match invocation.command {
        Command::Run(config) => {
            let line = serde_json::to_string(&config).expect("plain data is always JSON");
            info!(
                version = env!("CARGO_PKG_VERSION"),
                config = line,
                "fairway starts"
            );
            config.warnings().into_iter().for_each(|it| warn!("{it}"));
        }
        Command::Demo(demo) => info!(?demo, "fairway demo"),
        Command::Render(render) => info!(?render, "fairway render"),
        Command::Cleanup => info!("fairway cleanup"),
    }
    error!("the agent is not assembled yet");
    ExitCode::FAILURE
}
