//! Which lines somebody may see and work on.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::line::{LineId, Lines};

/// The lines of an officer or of a program's token: all, or some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineScope(Option<Arc<BTreeSet<LineId>>>);

impl LineScope {
    pub fn all() -> Self {
        Self::default()
    }

    /// Sees no line.
    pub fn nothing() -> Self {
        Self(Some(Arc::default()))
    }

    /// Of none named: all.
    pub fn of(lines: impl IntoIterator<Item = LineId>) -> Self {
        let lines: BTreeSet<LineId> = lines.into_iter().collect();
        Self((!lines.is_empty()).then(|| Arc::new(lines)))
    }

    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    pub fn allows(&self, line: &LineId) -> bool {
        self.0.as_ref().is_none_or(|lines| lines.contains(line))
    }

    /// The lines by name; none where it is all.
    pub fn named(&self) -> impl Iterator<Item = &LineId> {
        self.0.iter().flat_map(|lines| lines.iter())
    }

    /// Without lines that are configured no longer: whoever had only those sees nothing.
    pub fn configured(&self, lines: &Lines) -> Self {
        let known = |own: &Arc<BTreeSet<LineId>>| {
            Arc::new(own.iter().filter(|line| lines.get(line).is_some()).cloned().collect::<BTreeSet<_>>())
        };
        Self(self.0.as_ref().map(known))
    }

    /// `,parents,staff,`, as rows have it and statements compare it; `None`: all.
    pub fn to_text(&self) -> Option<String> {
        self.0.as_ref().map(|lines| lines.iter().fold(",".to_owned(), |text, line| text + line.as_str() + ","))
    }

    /// As [`LineScope::to_text`] wrote it.
    pub fn of_text(text: Option<&str>) -> Self {
        let line = |line: &str| (!line.is_empty()).then(|| LineId::new(line));
        Self(text.map(|text| Arc::new(text.split(',').filter_map(line).collect())))
    }

    /// «Родители, Сотрудники» or «все», for people. A line that is configured no longer has its id.
    pub fn titles(&self, lines: &Lines) -> String {
        let title = |id: &LineId| lines.get(id).map_or_else(|| id.to_string(), |line| line.title.clone());
        match self.0 {
            None => "все".to_owned(),
            Some(_) => self.named().map(title).collect::<Vec<_>>().join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::calendar::{Calendar, Hours};
    use crate::core::line::Line;

    fn ids(ids: &[&str]) -> LineScope {
        LineScope::of(ids.iter().map(|id| LineId::new(id)))
    }

    #[test]
    fn nobody_named_no_line_is_limited() {
        assert!(ids(&[]).is_all() && ids(&[]).allows(&LineId::unknown()));
        let one = ids(&["parents"]);
        assert!(one.allows(&LineId::new("parents")) && !one.allows(&LineId::new("staff")));
        assert!(!one.allows(&LineId::unknown()), "calls to unknown numbers are nobody's line");
        assert!(!LineScope::nothing().allows(&LineId::new("parents")));
    }

    #[test]
    fn row_tells_the_lines_that_were_written() {
        for scope in [LineScope::all(), LineScope::nothing(), ids(&["parents"]), ids(&["staff", "parents"])] {
            assert_eq!(LineScope::of_text(scope.to_text().as_deref()), scope);
        }
        assert_eq!(ids(&["staff", "parents"]).to_text().as_deref(), Some(",parents,staff,"));
    }

    /// Threat: taking a line out of the configuration lifts the limits of those who had it.
    #[test]
    fn line_that_is_gone_opens_no_other() {
        let calendar = Calendar::new(Hours::default());
        let line = Line::new(LineId::new("parents"), None, "Родители", calendar.clone());
        let lines = Lines::new(vec![line], calendar);
        assert_eq!(ids(&["old"]).configured(&lines), LineScope::nothing());
        assert_eq!(ids(&["old", "parents"]).configured(&lines), ids(&["parents"]));
        assert!(LineScope::all().configured(&lines).is_all());
    }
}
