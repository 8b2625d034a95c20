//! Names that somebody may have meant.

/// Most names that are told.
const MOST: usize = 3;

/// Of these names those that are nearly the one that was typed, nearest first.
pub(crate) fn near<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    // A slip of the finger or two; in long names a third.
    let allowed = 1 + typed.len() / 8;
    let mut found: Vec<_> = names
        .filter_map(|name| Some((distance(typed, name, allowed.min(3))?, name)))
        .collect();
    found.sort_unstable();
    found.truncate(MOST);
    found.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// How many letters differ (Levenshtein); None for more than allowed.
fn distance(left: &str, right: &str, allowed: usize) -> Option<usize> {
    if left.len().abs_diff(right.len()) > allowed {
        return None;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, one) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (at, other) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(one != other);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().filter(|distance| *distance <= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_found() {
        let names = ["shop.example.com", "shops.example.com", "api.example.org"];
        let near = |typed| near(typed, names.into_iter());
        assert_eq!(
            near("shp.example.com"),
            ["shop.example.com", "shops.example.com"]
        );
        assert_eq!(near("wiki.internal"), [""; 0]);
    }
}
