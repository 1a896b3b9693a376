//! Why learning waits: conditions held against the settings. Pure.

use super::Conditions;
use crate::config::{Hours, LearnConfig};
use std::fmt;
use std::time::Duration;

/// Something that other programs wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Processor,
    Memory,
    Disk,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resource::Processor => "the processor",
            Resource::Memory => "memory",
            Resource::Disk => "the disk",
        })
    }
}

/// Why no training may begin or go on now, in words for people.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Hindrance {
    #[error("it is {:02}:{:02} and learning is set for {hours}", .minute / 60, .minute % 60)]
    Hours { minute: u16, hours: Hours },
    #[error("the machine runs on battery")]
    Battery,
    #[error("a question is being answered")]
    Served,
    #[error("you asked something {} ago; it waits for {} of quiet", Time(*.ago), Time(*.wanted))]
    Asked { ago: Duration, wanted: Duration },
    #[error("other programs wait for {resource} {percent:.0} % of the time (at most {most} %)")]
    Pressure { resource: Resource, percent: f32, most: u32 },
    #[error("the processor is at {celsius:.0} degrees (at most {most})")]
    Hot { celsius: f32, most: u32 },
}

/// What hinders training now; `None`: it may begin, or go on. Of several hindrances it tells the one that will
/// probably last longest. What the machine does not say hinders nothing. `quiet`: how long nobody was served.
/// `training`: the trainer runs. Its own threads wait for the processor as soon as anybody else uses one, so that
/// this pressure says nothing while it runs; that it gives way there is the scheduler's doing.
pub fn hindrance(
    conditions: &Conditions,
    quiet: Duration,
    settings: &LearnConfig,
    training: bool,
) -> Option<Hindrance> {
    hours(conditions, settings)
        .or_else(|| battery(conditions, settings))
        .or_else(|| asked(quiet, settings))
        .or_else(|| pressure(conditions, settings, training))
        .or_else(|| hot(conditions, settings))
}

fn hours(conditions: &Conditions, settings: &LearnConfig) -> Option<Hindrance> {
    // Settings that were loaded have hours that can be read, or none.
    let hours: Hours = settings.hours.parse().ok()?;
    let minute = conditions.minute;
    (!hours.contains(minute)).then_some(Hindrance::Hours { minute, hours })
}

fn battery(conditions: &Conditions, settings: &LearnConfig) -> Option<Hindrance> {
    (conditions.on_battery == Some(true) && !settings.on_battery).then_some(Hindrance::Battery)
}

fn asked(quiet: Duration, settings: &LearnConfig) -> Option<Hindrance> {
    if quiet.is_zero() {
        return Some(Hindrance::Served);
    }
    let wanted = Duration::from_secs(60 * u64::from(settings.idle_minutes));
    (quiet < wanted).then_some(Hindrance::Asked { ago: quiet, wanted })
}

fn pressure(conditions: &Conditions, settings: &LearnConfig, training: bool) -> Option<Hindrance> {
    let most = settings.pressure;
    let processor = conditions.cpu.filter(|_| !training);
    [(Resource::Processor, processor), (Resource::Memory, conditions.memory), (Resource::Disk, conditions.io)]
        .into_iter()
        .filter_map(|(resource, percent)| Some((resource, percent?)))
        .filter(|(_, percent)| *percent > most as f32)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(resource, percent)| Hindrance::Pressure { resource, percent, most })
}

fn hot(conditions: &Conditions, settings: &LearnConfig) -> Option<Hindrance> {
    let (celsius, most) = (conditions.celsius?, settings.celsius);
    (celsius > most as f32).then_some(Hindrance::Hot { celsius, most })
}

/// Minutes, or seconds where there is no whole one.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (count, unit) = if seconds < 60 { (seconds, "second") } else { (seconds / 60, "minute") };
        write!(f, "{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(3600);

    /// Nothing hinders.
    fn calm() -> Conditions {
        Conditions {
            cpu: Some(20.0),
            memory: Some(0.0),
            io: Some(3.5),
            on_battery: Some(false),
            celsius: Some(85.0),
            minute: 14 * 60 + 20,
        }
    }

    fn told(conditions: &Conditions, quiet: u64, settings: &LearnConfig) -> String {
        hindrance(conditions, Duration::from_secs(quiet), settings, false).unwrap().to_string()
    }

    #[test]
    fn a_calm_machine_learns_and_so_does_one_that_says_nothing() {
        let settings = LearnConfig::default();
        for training in [false, true] {
            assert_eq!(hindrance(&calm(), QUIET, &settings, training), None);
            assert_eq!(hindrance(&Conditions::default(), QUIET, &settings, training), None);
        }
    }

    #[test]
    fn each_hindrance_is_told_in_plain_words() {
        let settings = LearnConfig::default();
        let hot = Conditions { celsius: Some(92.4), ..calm() };
        let busy = Conditions { cpu: Some(31.2), ..calm() };
        let full = Conditions { memory: Some(40.0), io: Some(99.9), ..busy.clone() };
        let battery = Conditions { on_battery: Some(true), ..hot.clone() };
        let night = LearnConfig { hours: "22-6".into(), ..settings.clone() };
        for (told, expected) in [
            (
                told(&calm(), 125, &settings),
                "you asked something 2 minutes ago; it waits for 10 minutes of quiet",
            ),
            (
                told(&calm(), 1, &settings),
                "you asked something 1 second ago; it waits for 10 minutes of quiet",
            ),
            (told(&calm(), 0, &settings), "a question is being answered"),
            (told(&battery, 0, &settings), "the machine runs on battery"),
            (
                told(&busy, 3600, &settings),
                "other programs wait for the processor 31 % of the time (at most 20 %)",
            ),
            (
                told(&full, 3600, &settings),
                "other programs wait for the disk 100 % of the time (at most 20 %)",
            ),
            (told(&hot, 3600, &settings), "the processor is at 92 degrees (at most 85)"),
            (told(&battery, 0, &night), "it is 14:20 and learning is set for 22 to 6"),
        ] {
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn the_trainer_does_not_hinder_itself() {
        let settings = LearnConfig::default();
        let busy = Conditions { cpu: Some(99.0), ..calm() };
        assert!(hindrance(&busy, QUIET, &settings, false).is_some());
        assert_eq!(hindrance(&busy, QUIET, &settings, true), None);
        let swapping = Conditions { memory: Some(21.0), ..busy };
        let resource = Resource::Memory;
        let expected = Some(Hindrance::Pressure { resource, percent: 21.0, most: 20 });
        assert_eq!(hindrance(&swapping, QUIET, &settings, true), expected);
    }

    #[test]
    fn the_owner_may_allow_more() {
        let battery = Conditions { on_battery: Some(true), ..calm() };
        let allowed = LearnConfig { on_battery: true, idle_minutes: 0, ..LearnConfig::default() };
        assert_eq!(hindrance(&battery, Duration::from_nanos(1), &allowed, true), None);
        // Not beside an answer, though.
        assert_eq!(hindrance(&battery, Duration::ZERO, &allowed, true), Some(Hindrance::Served));
        let night = LearnConfig { hours: "14-15".into(), ..allowed };
        assert_eq!(hindrance(&battery, QUIET, &night, false), None);
    }
}
