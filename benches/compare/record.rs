//! Where a run is written to.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::plan::Plan;
use crate::report::{self, About, Links, Section};

/// The page of the last run that was recorded, and between which lines it stands there.
const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- begin of what `cargo bench --bench compare -- --record` writes -->\n";
const END: &str = "<!-- end of what it writes -->\n";

/// Charts and figures of the last run that was recorded, as paths in the project and as links from its page.
const CHARTS: &str = "docs/images";
const RESULTS: &str = "benches/results";
const CHARTS_LINK: &str = "images/";
const RESULTS_LINK: &str = "../benches/results/";

/// Writes everything, and prints the Markdown.
pub(crate) fn write(plan: &Plan, sections: &[Section], about: &About) -> Result<()> {
    let day = about.date.split('T').next().unwrap_or_default();
    let csv = format!("{day}.csv");
    let links = Links {
        charts: "",
        csv: csv.clone(),
    };
    let text = report::markdown(sections, about, &links);
    println!("\n{text}");
    fs::create_dir_all(&plan.out)?;
    fs::write(plan.out.join("compare.md"), text)?;
    fs::write(plan.out.join(&csv), report::csv(sections, about))?;
    charts(&plan.out, sections)?;
    eprintln!("written to {}", plan.out.display());
    if plan.record {
        let links = Links {
            charts: CHARTS_LINK,
            csv: format!("{RESULTS_LINK}{csv}"),
        };
        page(&report::markdown(sections, about, &links))?;
        fs::create_dir_all(RESULTS)?;
        fs::write(Path::new(RESULTS).join(&csv), report::csv(sections, about))?;
        charts(Path::new(CHARTS), sections)?;
        eprintln!("written to {PAGE}, {CHARTS} and {RESULTS}");
    }
    Ok(())
}

fn charts(folder: &Path, sections: &[Section]) -> Result<()> {
    for chart in sections.iter().flat_map(|section| &section.charts) {
        fs::write(folder.join(chart.name).with_extension("svg"), &chart.svg)?;
    }
    Ok(())
}

/// Replaces what stands between the lines.
fn page(text: &str) -> Result<()> {
    let page = fs::read_to_string(PAGE).context(PAGE)?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.with_context(|| format!("{PAGE} has no line {BEGIN} or {END}"))?;
    fs::write(PAGE, format!("{before}{BEGIN}\n{text}\n{END}{after}"))?;
    Ok(())
}
