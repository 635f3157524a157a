//! Devices of different limit sets take turns, so that a slow set begins with the run and is busy
//! all the time, and no site or server gets its whole share at once.

use std::collections::HashMap;
use std::hash::Hash;

/// Mixes the kinds evenly, each over the whole length. Items of one kind keep their order; where
/// all are of one kind, nothing changes.
pub fn taking_turns<T, K: Eq + Hash>(items: Vec<T>, kind: impl Fn(&T) -> K) -> Vec<T> {
    let mut counts: HashMap<K, u64> = HashMap::new();
    let placed: Vec<_> = items
        .into_iter()
        .map(|item| {
            let kind = kind(&item);
            let count = counts.entry(kind).or_default();
            *count += 1;
            (*count, item)
        })
        .collect();
    if counts.len() < 2 {
        return placed.into_iter().map(|(_, item)| item).collect();
    }
    let mut placed: Vec<_> = placed
        .into_iter()
        .map(|(place, item)| {
            let count = counts.get(&kind(&item)).copied().unwrap_or(1);
            // The middle of its share of the length: place is from 1.
            let share = (u128::from(2 * place - 1) << 64) / u128::from(2 * count);
            (share, item)
        })
        .collect();
    // Stable: equal shares keep the order in which they came.
    placed.sort_by_key(|(share, _)| *share);
    placed.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_keeps_its_order() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(taking_turns(items.clone(), |_| ()), items);
        assert_eq!(taking_turns(Vec::<u32>::new(), |_| ()), Vec::<u32>::new());
    }

    #[test]
    fn kinds_are_spread_over_the_whole_length() {
        let items = ["a", "a", "a", "a", "a", "a", "b", "b"].to_vec();
        let mixed = taking_turns(items, |kind| *kind).concat();
        assert_eq!(mixed, "aabaaaba");
        let items = vec![("x", 1), ("x", 2), ("y", 1), ("y", 2)];
        let mixed = taking_turns(items, |(kind, _)| *kind);
        assert_eq!(mixed, [("x", 1), ("y", 1), ("x", 2), ("y", 2)]);
    }
}
