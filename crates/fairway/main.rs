//! `fairway`: arguments, configuration, build, run, drain.

mod agent;
mod args;
mod causes;
mod check;
mod cleanup;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod errand;
mod explain;
mod kernel;
mod logging;
mod memory;
mod output;
mod render;

use std::process::ExitCode;

use crate::config::Command;

fn main() -> ExitCode {
    let invocation = args::parse();
    invocation.logging.start();
    match run(invocation.command) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{}", causes::with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(config, loader) => agent::run(*config, *loader)?,
        Command::WriteConfig(config, path) => errand::write_config(&config, &path)?,
        Command::Initialize(config) => errand::initialize(&config),
        Command::Render(options) => render::render(&options)?,
        Command::Explain(command) => explain::run(&command)?,
        Command::Check(command) => return check::run(&command),
        Command::Doctor(doctor) => return doctor::run(&doctor),
        Command::Cleanup(what) => cleanup::cleanup(what)?,
        #[cfg(feature = "demo")]
        Command::Demo(demo) => return demo::run(demo),
    }
    Ok(ExitCode::SUCCESS)
}
