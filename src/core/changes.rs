//! What the school itself changed while the service runs. It lies over the configuration.

use super::calendar::HoursChanges;
use super::greetings::Greetings;
use super::line::{Line, Lines};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    pub hours: HoursChanges,
    pub greetings: Greetings,
}

impl Lines {
    /// The same lines with the changes over them.
    pub fn with(&self, changes: &Changes) -> Self {
        if *changes == Changes::default() {
            return self.clone();
        }
        self.each(|line| Line {
            calendar: changes.hours.over(&line.id, &line.calendar),
            greetings: changes.greetings.of(&line.id),
            ..line.clone()
        })
    }
}
