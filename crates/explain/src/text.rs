//! An explanation for people: the answer first, then the way.

use std::fmt::{self, Write};

use crate::{Backend, Endpoint, Explanation, Http, Kernel, Outcome, Packet, Rule};

/// The explanation as text, lines ended. Nothing in it comes from objects without being on one line.
pub fn render(explanation: &Explanation) -> String {
    let mut text = Text(String::new());
    // Writing to a string cannot fail.
    let _ = text.explanation(explanation);
    text.0
}

struct Text(String);

/// Where what is said about a title begins.
const INDENT: usize = 10;

impl Text {
    fn explanation(&mut self, explanation: &Explanation) -> fmt::Result {
        writeln!(self.0, "{}", clean(&explanation.question))?;
        writeln!(self.0)?;
        let answer = &explanation.answer;
        let word = match answer.outcome {
            Outcome::Forwarded => "FORWARDED",
            Outcome::Redirected => "REDIRECT",
            Outcome::Answered => "ANSWERED",
            Outcome::Refused => "REFUSED",
            Outcome::Dropped => "DROPPED",
            Outcome::NotOurs => "NOT OURS",
        };
        self.line(word, &answer.summary)?;
        for advice in &answer.advice {
            self.line("", &format!("- {advice}"))?;
        }
        if let Some(packet) = &explanation.packet {
            self.packet(packet)?;
        }
        if let Some(http) = &explanation.http {
            self.http(http)?;
        }
        if !explanation.node.is_empty() {
            self.line("Node", &explanation.node)?;
        }
        for (at, notice) in explanation.problems.iter().enumerate() {
            let title = if at == 0 { "Problems" } else { "" };
            let field = match notice.field.is_empty() {
                true => String::new(),
                false => format!(" {}", notice.field),
            };
            let line = format!(
                "{}{field}: {} ({})",
                notice.object, notice.message, notice.reason
            );
            self.line(title, &line)?;
        }
        Ok(())
    }

    fn http(&mut self, http: &Http) -> fmt::Result {
        let name = http.host.name.as_deref().unwrap_or("an address");
        let host = match &http.host.entry {
            Some(entry) if entry == name => format!("{name}: an entry of its own"),
            Some(entry) => format!("{name}: by the entry for {entry}"),
            None => format!("{name}: no entry"),
        };
        self.line("Host", &host)?;
        if !http.host.covered.is_empty() {
            self.line(
                "",
                &format!("before the less specific {}", http.host.covered.join(", ")),
            )?;
        }
        for path in &http.host.paths {
            self.line("", &format!("it has {path}"))?;
        }
        self.line("TLS", &http.tls.handling)?;
        if let Some(it) = &http.tls.certificate {
            let names = it.names.join(", ");
            let mut line = format!(
                "Secret {} for {names}, valid until {}",
                it.secret, it.not_after
            );
            if !it.covers {
                line.push_str(" - NOT for this host");
            }
            self.line("", &line)?;
        }
        if let Some(rule) = &http.rule {
            self.line("Rule", &rule_line(rule))?;
        }
        for beaten in &http.beaten {
            self.line(
                "",
                &format!("not {}: {}", rule_line(&beaten.rule), beaten.why),
            )?;
        }
        for refused in &http.refused {
            let line = format!(
                "not {} {} ({}): {}",
                refused.object, refused.field, refused.wants, refused.why
            );
            self.line("", &line)?;
        }
        for (at, filter) in http.filters.iter().enumerate() {
            self.line(if at == 0 { "Filters" } else { "" }, filter)?;
        }
        for backend in &http.backends {
            self.backend(backend, http.backends.len() > 1)?;
        }
        Ok(())
    }

    fn backend(&mut self, backend: &Backend, several: bool) -> fmt::Result {
        let mut line = format!("{} port {}", backend.service, backend.port);
        if several {
            let _ = write!(line, ", {} % of requests", backend.share);
        }
        let _ = write!(line, ": {}", backend.manner);
        self.line("Service", &line)?;
        if let Some(trouble) = &backend.trouble {
            self.line("", &format!("503: {trouble}"))?;
        }
        self.endpoints(&backend.endpoints)
    }

    fn packet(&mut self, packet: &Packet) -> fmt::Result {
        if let Some(frontend) = &packet.frontend {
            let crate::Frontend {
                service,
                kind,
                port,
                policy,
            } = frontend;
            self.line(
                "Service",
                &format!("{service}: {kind}, port {port}, traffic policy {policy}"),
            )?;
        }
        for rival in &packet.rivals {
            self.line(
                "",
                &format!(
                    "not Service {} ({}): {}",
                    rival.service, rival.field, rival.why
                ),
            )?;
        }
        for note in &packet.notes {
            self.line("", note)?;
        }
        let ways = packet.ways.iter();
        let ways = ways.filter(|way| packet.ways.len() > 1 || way.outcome != Outcome::NotOurs);
        for (at, way) in ways.enumerate() {
            let title = if at == 0 { "Packets" } else { "" };
            self.line(
                title,
                &format!("from {}: {}", senders(&way.from), way.summary),
            )?;
            if !way.chains.is_empty() {
                self.line("", &format!("  by {}", way.chains.join(" > ")))?;
            }
        }
        self.endpoints(&packet.endpoints)?;
        if let Some(kernel) = &packet.kernel {
            self.kernel(kernel)?;
        }
        Ok(())
    }

    fn endpoints(&mut self, endpoints: &[Endpoint]) -> fmt::Result {
        let width = |text: fn(&Endpoint) -> usize| endpoints.iter().map(text).max().unwrap_or(0);
        let address = width(|it| it.address.len());
        let node = width(|it| it.node.as_deref().map_or(1, str::len));
        for (at, endpoint) in endpoints.iter().enumerate() {
            let title = if at == 0 { "Endpoints" } else { "" };
            let used = if endpoint.used { "in " } else { "out" };
            let share = endpoint
                .share
                .map(|share| format!("{share} %"))
                .unwrap_or_default();
            let zone = endpoint
                .zone
                .as_deref()
                .map(|zone| format!(" (zone {zone})"));
            let line = format!(
                "{used} {:address$}  {:node$} {share:>6}  {}{}",
                endpoint.address,
                endpoint.node.as_deref().unwrap_or("-"),
                endpoint.why,
                zone.unwrap_or_default(),
            );
            self.line(title, &line)?;
        }
        Ok(())
    }

    fn kernel(&mut self, kernel: &Kernel) -> fmt::Result {
        self.line("Kernel", &kernel.summary)?;
        for element in &kernel.elements {
            let mark = if kernel.unexpected.contains(element) {
                "!"
            } else {
                " "
            };
            self.line("", &format!("{mark} {element}"))?;
        }
        for element in &kernel.missing {
            self.line("", &format!("? {element}   is missing"))?;
        }
        Ok(())
    }

    fn line(&mut self, title: &str, text: &str) -> fmt::Result {
        writeln!(self.0, "{title:INDENT$} {}", clean(text))
    }
}

fn senders(from: &[String]) -> String {
    match from {
        [one, last] => format!("{one} and {last}"),
        [one] => one.clone(),
        _ => "everybody".to_owned(),
    }
}

fn rule_line(rule: &Rule) -> String {
    let mut line = format!("{} {}: {}", rule.object, rule.field, rule.path);
    if !rule.conditions.is_empty() {
        let _ = write!(line, ", {}", rule.conditions.join(", "));
    }
    line
}

/// Objects may contain anything, and a terminal obeys some of it.
fn clean(text: &str) -> String {
    let is_harmless = |character: char| !character.is_control();
    text.chars()
        .map(|it| if is_harmless(it) { it } else { '?' })
        .collect()
}
