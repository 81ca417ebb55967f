//! How fast a place of AWS is asked. Pure: it is told the time.
//!
//! Until AWS says "slow down" there is no rate at all. Then calls are evenly
//! spaced, and the rate follows AWS's ceiling, which nobody documents exactly:
//! down by a part when it is hit, quickly up to where it was hit last, slowly
//! beyond (AIMD with a memory, as TCP CUBIC has one).

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// What one answer counts over when the ceiling is unknown.
const WINDOW: Duration = Duration::from_secs(1);
/// AWS says 20 a second for all of IAM Identity Center; the first answers may be
/// too few to tell.
const FIRST_GUESS: f64 = 15.0;
/// On "slow down": to this part of the rate.
const DECREASE: f64 = 0.9;
/// Far below the known ceiling a second without "slow down" adds this part of it.
const APPROACH: f64 = 0.05;
/// Close to it, and beyond, this part, and more the longer nothing happens.
const PROBE: f64 = 0.003;
/// The least that a second adds: an estimate may have been far too low.
const LEAST_STEP: f64 = 0.05;
/// After this long without "slow down" the steps are twice as large.
const IMPATIENCE: Duration = Duration::from_secs(12);
/// From this part of the known ceiling on it is close.
const CLOSE: f64 = 0.96;
/// Answers to calls of before the last decrease say nothing new.
const SETTLE: Duration = Duration::from_secs(1);
/// From this part of the rate on it is we who are too fast.
const BUSY: f64 = 0.7;
const SLOWEST: f64 = 0.5;
/// More than any ceiling of AWS that was ever seen: no rate is needed.
const FASTEST: f64 = 2_000.0;

#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// Calls a second; `None` while AWS has never said "slow down".
    rate: Option<f64>,
    /// Where AWS said "slow down" last.
    ceiling: f64,
    /// Nobody asks before.
    next: Option<Instant>,
    decreased: Option<Instant>,
    resumed: Option<Instant>,
    increased: Option<Instant>,
    /// The calls of the last window: those that went, those that were answered.
    went: VecDeque<Instant>,
    answered: VecDeque<Instant>,
}

impl Pace {
    /// One that knows a ceiling from before.
    pub fn remembering(ceiling: f64) -> Self {
        let ceiling = ceiling.clamp(SLOWEST, FASTEST);
        Self {
            rate: Some(ceiling * CLOSE),
            ceiling,
            ..Self::default()
        }
    }

    /// The ceiling, once it is known.
    pub fn ceiling(&self) -> Option<f64> {
        self.rate.map(|_| self.ceiling)
    }

    /// When AWS last said "slow down" to this daemon.
    pub fn last_throttled(&self) -> Option<Instant> {
        self.decreased
    }

    /// Takes the next place in the row: `None` when it is now, else when to ask again.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        self.climb(now);
        if let Some(next) = self.next.filter(|next| *next > now) {
            return Some(next);
        }
        if let Some(rate) = self.rate {
            // Never in a row for what was missed: AWS may count by the second.
            self.next = Some(now + Duration::from_secs_f64(1.0 / rate));
            self.went.push_back(now);
            forget(&mut self.went, now);
        }
        None
    }

    /// When somebody who lets others go first asks again; `None` without a rate.
    pub fn after_next(&self, now: Instant) -> Option<Instant> {
        let pause = Duration::from_secs_f64(1.0 / self.rate?);
        Some(self.next.map_or(now, |next| next.max(now)) + pause)
    }

    pub fn answered(&mut self, now: Instant) {
        self.answered.push_back(now);
        forget(&mut self.answered, now);
    }

    /// AWS said "slow down" to a call that was made at `asked`.
    pub fn throttled(&mut self, asked: Instant, now: Instant) {
        if self
            .decreased
            .is_some_and(|at| asked < at + SETTLE && now < at + SETTLE)
        {
            return;
        }
        // What AWS allowed since the last decrease counts with the quiet after it,
        // in which it may have saved up; how busy we were counts without.
        let since = |start: Option<Instant>| {
            start.map_or(WINDOW, |start| {
                now.saturating_duration_since(start).min(WINDOW)
            })
        };
        let answered = a_second(&mut self.answered, now, since(self.decreased));
        let went = a_second(&mut self.went, now, since(self.resumed));
        let reached = match self.rate {
            // At full speed what AWS answered is what it allows.
            Some(rate) if went >= rate * BUSY => rate.min(answered.max(rate / 3.0)),
            Some(rate) => rate,
            None => answered.max(FIRST_GUESS),
        };
        self.went.clear();
        self.answered.clear();
        self.ceiling = reached.clamp(SLOWEST, FASTEST);
        self.rate = Some((self.ceiling * DECREASE).max(SLOWEST));
        // What AWS counts by the second has to pass.
        let quiet = if self.decreased.is_none() {
            WINDOW
        } else {
            WINDOW / 4
        };
        self.resumed = Some(now + quiet);
        self.next = self.resumed;
        self.decreased = Some(now);
        self.increased = Some(now);
    }

    fn climb(&mut self, now: Instant) {
        let (Some(rate), Some(since)) = (self.rate, self.increased) else {
            self.increased = self.rate.map(|_| now);
            return;
        };
        // Only while it is used: an idle hour says nothing about the ceiling.
        let seconds = now
            .saturating_duration_since(since)
            .min(WINDOW)
            .as_secs_f64();
        let calm = self
            .decreased
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        let patience = 1.0 + (calm / IMPATIENCE.as_secs_f64()).powi(2);
        let step = if rate < self.ceiling * CLOSE {
            APPROACH
        } else {
            PROBE * patience
        };
        let step = (self.ceiling.max(rate) * step).max(LEAST_STEP * patience);
        self.rate = Some((rate + step * seconds).min(FASTEST));
        self.increased = Some(now);
    }
}

fn forget(calls: &mut VecDeque<Instant>, now: Instant) {
    while calls.front().is_some_and(|at| *at + WINDOW <= now) {
        calls.pop_front();
    }
}

fn a_second(calls: &mut VecDeque<Instant>, now: Instant, span: Duration) -> f64 {
    forget(calls, now);
    let count = f64::from(u32::try_from(calls.len()).unwrap_or(u32::MAX));
    count / span.as_secs_f64().max(0.001)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How AWS may count.
    #[derive(Debug, Clone, Copy)]
    enum Aws {
        /// Tokens a second, and how many may be saved up.
        Bucket(f64, f64),
        /// Calls in each second of the clock.
        Window(usize),
    }

    struct Counter {
        aws: Aws,
        tokens: f64,
        last: Instant,
        second: (u64, usize),
        start: Instant,
    }

    impl Counter {
        fn takes(&mut self, at: Instant) -> bool {
            match self.aws {
                Aws::Bucket(rate, burst) => {
                    let earned = (at - self.last).as_secs_f64() * rate;
                    self.tokens = (self.tokens + earned).min(burst);
                    self.last = at;
                    let taken = self.tokens >= 1.0;
                    self.tokens -= f64::from(u8::from(taken));
                    taken
                }
                Aws::Window(most) => {
                    let second = (at - self.start).as_secs();
                    let count = if self.second.0 == second {
                        self.second.1 + 1
                    } else {
                        1
                    };
                    self.second = (second, count);
                    count <= most
                }
            }
        }
    }

    /// Seconds and refused calls until `calls` are answered, 24 in flight.
    fn simulate(aws: Aws, calls: usize, latency: Duration) -> (f64, usize) {
        let start = Instant::now();
        let (burst, step) = match aws {
            Aws::Bucket(_, burst) => (burst, Duration::from_millis(1)),
            Aws::Window(_) => (0.0, Duration::from_millis(1)),
        };
        let mut counter = Counter {
            aws,
            tokens: burst,
            last: start,
            second: (0, 0),
            start,
        };
        let (mut pace, mut now) = (Pace::default(), start);
        let (mut left, mut done, mut refused) = (calls, 0, 0);
        let mut flight: Vec<(Instant, Instant)> = Vec::new();
        let mut paused: Vec<Instant> = Vec::new();
        while done < calls {
            let (answered, still): (Vec<_>, Vec<_>) =
                flight.into_iter().partition(|(_, at)| *at <= now);
            flight = still;
            for (asked, at) in answered {
                if counter.takes(at) {
                    done += 1;
                    pace.answered(now);
                } else {
                    refused += 1;
                    pace.throttled(asked, now);
                    let jitter = u64::try_from(refused * 37 % 500).unwrap_or(0);
                    paused.push(now + Duration::from_millis(500 + jitter));
                }
            }
            paused.retain(|until| {
                left += usize::from(*until <= now);
                *until > now
            });
            while left > 0 && flight.len() < 24 && pace.take(now).is_none() {
                left -= 1;
                flight.push((now, now + latency));
            }
            now += step;
        }
        ((now - start).as_secs_f64(), refused)
    }

    #[test]
    fn the_ceiling_is_found_and_kept_whatever_aws_counts_by() {
        for (aws, rate) in [
            (Aws::Bucket(20.0, 20.0), 20.0),
            (Aws::Bucket(20.0, 1.0), 20.0),
            (Aws::Bucket(20.0, 100.0), 20.0),
            (Aws::Bucket(5.0, 5.0), 5.0),
            (Aws::Bucket(50.0, 50.0), 50.0),
            (Aws::Window(20), 20.0),
            (Aws::Window(10), 10.0),
        ] {
            for latency in [2, 50, 400] {
                let (seconds, refused) = simulate(aws, 2_000, Duration::from_millis(latency));
                let ideal = 2_000.0 / rate;
                assert!(seconds <= ideal * 1.15, "{aws:?} {latency} ms: {seconds} s");
                // 3 % of the calls.
                assert!(refused <= 60, "{aws:?} {latency} ms: {refused} refused");
            }
        }
    }

    #[test]
    fn without_a_slow_down_nobody_waits() {
        let (now, mut pace) = (Instant::now(), Pace::default());
        for _ in 0..10_000 {
            assert_eq!(pace.take(now), None);
            pace.answered(now);
        }
        assert_eq!(pace.ceiling(), None);
    }

    #[test]
    fn a_remembered_ceiling_is_stayed_under_from_the_first_call() {
        let now = Instant::now();
        let mut pace = Pace::remembering(20.0);
        assert_eq!(pace.take(now), None);
        let next = pace.take(now).unwrap() - now;
        assert!(
            (Duration::from_millis(45)..Duration::from_millis(60)).contains(&next),
            "{next:?}"
        );
    }

    #[test]
    fn a_few_slow_downs_without_haste_cost_little() {
        let (mut now, mut pace) = (Instant::now(), Pace::default());
        for _ in 0..5 {
            assert_eq!(pace.take(now), None);
            pace.throttled(now, now);
            now += Duration::from_secs(2);
        }
        assert!(pace.rate.unwrap() > 8.0, "{pace:?}");
    }

    #[test]
    fn an_hour_of_silence_earns_no_burst() {
        let now = Instant::now();
        let mut pace = Pace::remembering(20.0);
        assert_eq!(pace.take(now), None);
        let later = now + Duration::from_hours(1);
        assert_eq!(pace.take(later), None);
        assert!(pace.take(later).is_some());
    }
}
