//! Working hours as the school changed them while the service runs.

#[derive(Clone, Debug, Default, PartialEq)]
pub struct HoursChanges {}
