//! Pairs of measurements, taken in turns so that whatever else the machine does hits both sides.

use std::time::Duration;

/// Not measured: caches, lazily loaded pages.
const WARM_UP: usize = 5;

/// How long each side took, round by round.
pub struct Pairs {
    ours: Vec<Duration>,
    beside: Vec<Duration>,
}

/// Measures both sides in turns; who is first changes with each round.
pub fn in_turns<T>(
    rounds: usize,
    context: &mut T,
    ours: impl Fn(&mut T) -> anyhow::Result<Duration>,
    beside: impl Fn(&mut T) -> anyhow::Result<Duration>,
) -> anyhow::Result<Pairs> {
    let mut pairs = Pairs {
        ours: Vec::with_capacity(rounds),
        beside: Vec::with_capacity(rounds),
    };
    for round in 0..WARM_UP + rounds {
        let (one, other) = if round % 2 == 0 {
            let one = ours(context)?;
            (one, beside(context)?)
        } else {
            let other = beside(context)?;
            (ours(context)?, other)
        };
        if round >= WARM_UP {
            pairs.ours.push(one);
            pairs.beside.push(other);
        }
    }
    Ok(pairs)
}

impl Pairs {
    pub fn ours(&self) -> f64 {
        median(self.ours.iter().map(millis))
    }

    pub fn beside(&self) -> f64 {
        median(self.beside.iter().map(millis))
    }

    /// Our median over the other one.
    pub fn ratio(&self) -> f64 {
        self.ours() / self.beside()
    }

    /// The median of what each round took us longer, in milliseconds.
    pub fn difference(&self) -> f64 {
        let rounds = self.ours.iter().zip(&self.beside);
        median(rounds.map(|(ours, beside)| millis(ours) - millis(beside)))
    }
}

fn millis(span: &Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_pairs_and_one_outlier_changes_nothing() {
        let ms = |list: [u64; 3]| list.map(Duration::from_millis).to_vec();
        let pairs = Pairs {
            ours: ms([4, 900, 6]),
            beside: ms([2, 2, 3]),
        };
        assert!((pairs.ratio() - 3.0).abs() < 1e-9);
        assert!((pairs.difference() - 3.0).abs() < 1e-9);
    }
}
