use std::time::Duration;

use fairway_testkit::Agent;

/// Bounds only how long a test that fails takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an agent says about its input.
pub(super) struct Told<'a>(pub(super) &'a Agent);

impl Told<'_> {
    /// Waits until each of these is part of a line.
    pub(super) fn wait(&self, texts: &[&str]) {
        for text in texts {
            self.0.wait_for_log(text, PATIENCE).unwrap();
        }
    }

    /// Each of these has been said once so far, in a warning.
    #[track_caller]
    pub(super) fn once(&self, texts: &[&str]) {
        let log = self.0.stderr();
        for text in texts {
            let lines: Vec<_> = log.lines().filter(|line| line.contains(text)).collect();
            let [line] = lines[..] else {
                panic!("{} times instead of once: {text}", lines.len());
            };
            assert!(line.contains(" WARN "), "{line}");
            assert!(line.len() < 700, "too long: {line}");
        }
    }

    /// Nothing but these has been warned of.
    #[track_caller]
    pub(super) fn nothing_else(&self, texts: &[&str]) {
        let log = self.0.stderr();
        let severe = |line: &&str| {
            [" WARN ", " ERROR ", "panicked"]
                .iter()
                .any(|it| line.contains(it))
        };
        for line in log.lines().filter(severe) {
            assert!(
                texts.iter().any(|text| line.contains(text)),
                "unexpected: {line}"
            );
        }
    }
}
