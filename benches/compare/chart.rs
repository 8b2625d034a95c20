//! Charts as SVG, in colours that are told apart by all, on white and on black.

pub(crate) mod bars;
pub(crate) mod curves;

const COLOURS: [&str; 5] = ["#0072b2", "#009e73", "#e69f00", "#cc79a7", "#888888"];

const STYLE: &str = "<style>text{font:12px sans-serif;fill:#555}.n{font-size:9px}\
     @media(prefers-color-scheme:dark){text{fill:#ccc}}</style>";

/// Puts what was drawn into a picture.
fn frame([width, height]: [f64; 2], title: &str, drawn: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         aria-label=\"{title}\">\n{STYLE}\n<text x=\"8\" y=\"16\">{title}</text>\n{drawn}</svg>\n"
    )
}

/// Squares with names beside them.
fn legend<'a>(names: impl Iterator<Item = &'a str>, left: f64, top: f64, step: f64) -> String {
    let entry = |(number, name): (usize, &str)| {
        let x = left + step * number as f64;
        format!(
            "<rect x=\"{x:.0}\" y=\"{:.0}\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{:.0}\" y=\"{top:.0}\">{name}</text>\n",
            top - 10.0,
            COLOURS[number % COLOURS.len()],
            x + 17.0,
        )
    };
    names.enumerate().map(entry).collect()
}
