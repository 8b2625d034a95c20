//! The page that the demo writes, and the count of what went as it should.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use super::style::{Role, Style};

/// Everything below a heading stands this far in.
const INDENT: &str = "   ";

/// The page.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) style: Style,
    steps: usize,
    checks: usize,
    failures: Vec<String>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            style: Style::of_stdout(),
            steps: 0,
            checks: 0,
            failures: Vec::new(),
        }
    }

    pub(super) fn title(&mut self, name: &str, explanation: &str) -> io::Result<()> {
        let name = self.style.paint(Role::Strong, name);
        write(format_args!("{name}: {explanation}\n"))
    }

    /// The heading of the next step.
    pub(super) fn step(&mut self, title: &str) -> io::Result<()> {
        self.steps += 1;
        let heading = format!("{}  {title}", self.steps);
        let heading = self.style.paint(Role::Strong, heading);
        write(format_args!("\n{heading}\n\n"))
    }

    /// A line as it is.
    pub(super) fn line(&mut self, text: impl Display) -> io::Result<()> {
        write(format_args!("{INDENT}{text}\n"))
    }

    pub(super) fn blank(&mut self) -> io::Result<()> {
        write(format_args!("\n"))
    }

    /// A line that explains.
    pub(super) fn aside(&mut self, text: impl Display) -> io::Result<()> {
        let text = self.style.paint(Role::Aside, text);
        self.line(text)
    }

    /// What a person on that machine would type.
    pub(super) fn command(&mut self, machine: &str, command: impl Display) -> io::Result<()> {
        let machine = self.style.paint(Role::Strong, machine);
        let command = self.style.paint(Role::Command, command);
        self.line(format_args!("{machine} $ {command}"))
    }

    /// What came of it, and what is wrong with that, if anything.
    pub(super) fn check(&mut self, seen: &str, wrong: Option<String>) -> io::Result<()> {
        self.checks += 1;
        let Some(wrong) = wrong else {
            let tick = self.style.paint(Role::Good, '✓');
            return self.line(format_args!("  {tick} {seen}"));
        };
        let cross = self.style.paint(Role::Bad, '✗');
        self.line(format_args!("  {cross} {seen}"))?;
        let complaint = self.style.paint(Role::Bad, format!("FAILED: {wrong}"));
        self.failures.push(format!("step {}: {wrong}", self.steps));
        self.line(format_args!("    {complaint}"))
    }

    /// Whether every check held so far.
    pub(super) fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// The last line, or lines.
    pub(super) fn summary(&mut self, took: Duration) -> io::Result<()> {
        let (checks, seconds) = (self.checks, took.as_secs_f64());
        if self.passed() {
            let verdict = format!("All {checks} checks passed");
            let verdict = self.style.paint(Role::Good, verdict);
            return write(format_args!("\n{verdict} in {seconds:.1} s.\n"));
        }
        let verdict = format!("{} of {checks} checks FAILED", self.failures.len());
        let verdict = self.style.paint(Role::Bad, verdict);
        write(format_args!("\n{verdict} in {seconds:.1} s:\n"))?;
        for failure in &self.failures {
            write(format_args!("{INDENT}{failure}\n"))?;
        }
        Ok(())
    }
}

/// Unlike `print!`, without a panic when nobody reads any more.
fn write(text: std::fmt::Arguments<'_>) -> io::Result<()> {
    io::stdout().write_fmt(text)
}
