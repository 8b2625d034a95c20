//! Counts instructions of the pure parts and compares them with `baseline.csv`.
//!
//! ```text
//! cargo bench -p fairway-instructions               compares; ends with 1 if a count has grown
//! cargo bench -p fairway-instructions -- --accept   makes today's counts the baseline
//! ```
//!
//! Needs Debian's valgrind. Each piece of work runs in a process of its own, which prepares without being
//! counted.

mod packets;
mod requests;
mod work;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use fairway_instructions::baseline::Baseline;
use fairway_instructions::{callgrind, toolchain};

use work::Work;

/// Everything that is counted.
const ALL: &[&[Work]] = &[packets::ALL, requests::ALL];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let all = || ALL.iter().copied().flatten();
    if let Some(at) = arguments.iter().position(|argument| argument == "--one") {
        let name = arguments.get(at + 1).ok_or("--one needs a name")?;
        let work = all().find(|work| work.name == name);
        work.ok_or("there is no such work")?.run();
        return Ok(ExitCode::SUCCESS);
    }

    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = env::current_exe()?;
    let profiles = target_folder(&program).join("instructions");
    fs::create_dir_all(&profiles)?;
    let mut counts = BTreeMap::new();
    for work in all() {
        let profile = profiles.join(format!("{}.callgrind", work.name));
        let count = callgrind::count(&program, work.name, &profile)?;
        counts.insert(work.name.to_owned(), count / work.times);
    }
    let today = Baseline {
        toolchain: toolchain::describe(),
        counts,
    };

    let file = room.join("baseline.csv");
    if arguments.iter().any(|argument| argument == "--accept") {
        fs::write(&file, today.to_string())?;
        println!("{today}");
        return Ok(ExitCode::SUCCESS);
    }
    let baseline = Baseline::parse(&fs::read_to_string(&file)?)?;
    let report = baseline.judge(&today);
    println!("{report}");
    Ok(match report.is_good() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// `target` or what stands for it: benches are in `target/release/deps`.
fn target_folder(program: &Path) -> &Path {
    program.ancestors().nth(3).unwrap_or(Path::new("."))
}
