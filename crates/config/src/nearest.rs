//! Owns the guess what was meant by a misspelt word.

/// The candidate nearest to `written`, if it is near enough to be meant.
pub(crate) fn word<'c>(
    written: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    let letters = fold(written)?;
    candidates
        .filter_map(|candidate| {
            let other = fold(candidate)?;
            let allowed = letters.len().max(other.len()).div_ceil(3);
            let steps = distance(&letters, &other);
            (steps <= allowed && steps < other.len()).then_some((steps, candidate))
        })
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, candidate)| candidate)
}

/// Letters without case, `-` as `_`. Nothing for what is longer than any name: the distance costs
/// the product of both lengths.
fn fold(text: &str) -> Option<Vec<char>> {
    const LONGEST: usize = 64;
    let fold_one = |letter: char| match letter {
        '-' => '_',
        other => other.to_ascii_lowercase(),
    };
    (text.len() <= LONGEST).then(|| text.chars().map(fold_one).collect())
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal
/// string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (row, &left) in a.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &right) in b.iter().enumerate() {
            let replace = last[column] + usize::from(left != right);
            let mut steps = replace.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && left == b[column - 1] && a[row - 1] == right {
                steps = steps.min(before_last[column - 1] + 1);
            }
            current.push(steps);
        }
        before_last = last;
        last = current;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_between_words() {
        for (a, b, steps) in [
            ("", "", 0),
            ("", "abc", 3),
            ("mode", "mode", 0),
            ("mdoe", "mode", 1),
            ("mod", "mode", 1),
            ("modes", "mode", 1),
            ("made", "mode", 1),
            ("kitten", "sitting", 3),
        ] {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(distance(&letters(a), &letters(b)), steps, "{a} {b}");
            assert_eq!(distance(&letters(b), &letters(a)), steps, "{b} {a}");
        }
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let names = ["certificate", "private_key", "mode", "direct"];
        for (written, meant) in [
            ("certifcate", Some("certificate")),
            ("private-key", Some("private_key")),
            ("Mode", Some("mode")),
            ("xyzzy", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(word(written, names.into_iter()), meant, "{written}");
        }
        let long = "m".repeat(1 << 20);
        assert_eq!(word(&long, names.into_iter()), None);
    }
}
