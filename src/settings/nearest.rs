//! What the operator may have meant.

/// The candidate that differs from `word` in a few letters only, ignoring case.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(80).collect();
    let allowed = ((word.len() + 1) / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 3 * allowed)
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The number of letters to insert, remove or replace and of neighbours to swap.
fn distance(word: &[char], candidate: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    let mut older: Vec<usize> = Vec::new();
    let mut before = None;
    for (number, letter) in candidate.to_lowercase().chars().enumerate() {
        let mut next = vec![number + 1];
        let mut left = number + 1;
        let mut own_before = None;
        for (column, (pair, own)) in row.windows(2).zip(word).enumerate() {
            let &[diagonal, above] = pair else { continue };
            let replaced = diagonal + usize::from(*own != letter);
            left = replaced.min(above + 1).min(left + 1);
            if before == Some(*own) && own_before == Some(letter) {
                let swapped = column.checked_sub(1).and_then(|column| older.get(column));
                left = swapped.map_or(left, |swapped| left.min(swapped + 1));
            }
            next.push(left);
            own_before = Some(*own);
        }
        before = Some(letter);
        older = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

/// `; did you mean ...?` where something is near enough, else nothing.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// The names in backquotes, at most ten of them.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 10;
    let mut names = names.into_iter();
    let mut text = names
        .by_ref()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    match names.count() {
        0 if text.is_empty() => text.push_str("none"),
        0 => {}
        more => text.push_str(&format!(" and {more} more")),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_a_stranger_is_not() {
        let keys = ["run.in_flight", "run.every", "archive.dir"];
        assert_eq!(nearest("run.inflight", keys), Some("run.in_flight"));
        assert_eq!(nearest("run.evry", keys), Some("run.every"));
        assert_eq!(nearest("CSR1", ["csr1", "csr2"]), Some("csr1"));
        assert_eq!(nearest("hunter2", keys), None);
        assert_eq!(nearest("", keys), None);
    }

    #[test]
    fn swapped_letters_are_one_slip() {
        let of = |word: &str, candidate| distance(&word.chars().collect::<Vec<_>>(), candidate);
        assert_eq!(of("hots", "host"), 1);
        assert_eq!(of("egde", "Edge"), 1);
        assert_eq!(of("ab", "ba"), 1);
        assert_eq!(of("abc", "xyz"), 3);
        assert_eq!(of("", "abc"), 3);
        assert_eq!(of("kitten", "sitting"), 3);
    }

    #[test]
    fn lists_are_bounded() {
        assert_eq!(listed([]), "none");
        assert_eq!(listed(["a", "b"]), "`a`, `b`");
        assert!(listed(["x"; 14]).ends_with("and 4 more"));
    }
}
