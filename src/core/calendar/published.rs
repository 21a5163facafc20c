//! The data files as they are published, read once and put in order for looking up a date.
//!
//! Those inside the program are the beginning; an administrator may put newer ones of the same format over them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use super::days::{DataSet, Special, is_weekend};
use crate::time::{Date, Weekday};

/// The largest data file that is taken, bytes. Six years are 15 kB.
pub const LARGEST_DATA_FILE: usize = 512 * 1024;
/// The longest name of a day, characters.
const LONGEST_NAME: usize = 200;

static BUILT_IN: LazyLock<HolidayData> = LazyLock::new(|| {
    let russia = Federal::read(DataSet::Russia.text()).expect("ru.json is part of the program and a test reads it");
    let chechnya =
        Regional::read(DataSet::Chechnya.text()).expect("ru-ce.json is part of the program and a test reads it");
    HolidayData { federal: Arc::new(russia), regional: Arc::new(chechnya) }
});

/// What is published about holidays: one file for each [`DataSet`]. Cheap to clone; equal if the files are.
#[derive(Clone)]
pub struct HolidayData {
    pub(super) federal: Arc<Federal>,
    pub(super) regional: Arc<Regional>,
}

impl HolidayData {
    /// The files inside the program.
    pub fn built_in() -> Self {
        BUILT_IN.clone()
    }

    /// The same with another file for one set.
    ///
    /// # Errors
    /// Everything that is wrong with the file, in Russian, for the administrator.
    pub fn with(&self, set: DataSet, text: &str) -> Result<Self, Vec<String>> {
        let mut data = self.clone();
        match set {
            DataSet::Russia => data.federal = Arc::new(Federal::read(text)?),
            DataSet::Chechnya => data.regional = Arc::new(Regional::read(text)?),
        }
        Ok(data)
    }

    /// The day on which the file was last checked against the acts.
    pub fn updated(&self, set: DataSet) -> Date {
        match set {
            DataSet::Russia => self.federal.updated,
            DataSet::Chechnya => self.regional.updated,
        }
    }

    /// Changes whenever a byte of the file does.
    pub fn digest(&self, set: DataSet) -> &[u8] {
        match set {
            DataSet::Russia => &self.federal.digest,
            DataSet::Chechnya => &self.regional.digest,
        }
    }

    /// The first and last date that the file of this set says anything about.
    pub(super) fn span(&self, set: DataSet) -> Option<(Date, Date)> {
        match set {
            DataSet::Russia => {
                let last = self.federal.first_year.checked_add(i16::try_from(self.federal.years.len()).ok()? - 1)?;
                Some((Date::new(self.federal.first_year, 1, 1).ok()?, Date::new(last, 12, 31).ok()?))
            }
            DataSet::Chechnya => Some((self.regional.days.first()?.date, self.regional.days.last()?.date)),
        }
    }
}

impl PartialEq for HolidayData {
    fn eq(&self, other: &Self) -> bool {
        DataSet::ALL.into_iter().all(|set| self.digest(set) == other.digest(set))
    }
}

impl fmt::Debug for HolidayData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HolidayData({}, {})", self.federal.updated, self.regional.updated)
    }
}

/// Which set a file is for, by its `id`. `None`: it is none of ours.
pub fn data_set_of(text: &str) -> Option<DataSet> {
    #[derive(Deserialize)]
    struct Head {
        id: String,
    }
    let head: Head = serde_json::from_str(text).ok()?;
    DataSet::ALL.into_iter().find(|set| set.as_str() == head.id)
}

pub(super) struct Federal {
    pub updated: Date,
    first_year: i16,
    /// Without holes, from `first_year`.
    years: Vec<FederalYear>,
    digest: Vec<u8>,
}

pub(super) struct FederalYear {
    pub official: bool,
    /// By date, each at most once.
    special: Vec<(Date, Kept)>,
    pub short_days: Vec<Date>,
}

enum Kept {
    Holiday(String),
    DayOff { from: Weekday },
    WorkingWeekend { instead_of: Weekday },
}

impl Federal {
    fn read(text: &str) -> Result<Self, Vec<String>> {
        let file: FederalFile = serde_json::from_str(text).map_err(|error| vec![not_read(&error)])?;
        let mistakes = file.mistakes();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let first_year = file.years.keys().next().copied().unwrap_or(0);
        let years = file.years.into_values().map(FederalYear::from).collect();
        Ok(Self { updated: file.updated, first_year, years, digest: Sha256::digest(text).to_vec() })
    }

    pub fn year(&self, year: i16) -> Option<&FederalYear> {
        self.years.get(usize::try_from(year.checked_sub(self.first_year)?).ok()?)
    }
}

impl FederalYear {
    pub fn special(&self, date: Date) -> Option<Special<'_>> {
        let at = self.special.binary_search_by_key(&date, |(date, _)| *date).ok()?;
        Some(match &self.special[at].1 {
            Kept::Holiday(name) => Special::Holiday { name },
            Kept::DayOff { from } => Special::DayOff { from: *from },
            Kept::WorkingWeekend { instead_of } => Special::WorkingWeekend { instead_of: *instead_of },
        })
    }
}

impl From<YearEntry> for FederalYear {
    fn from(year: YearEntry) -> Self {
        let holidays = year.holidays.into_iter().map(|day| (day.date, Kept::Holiday(day.name)));
        let days_off = year.days_off.into_iter().map(|day| (day.date, Kept::DayOff { from: day.from.weekday() }));
        let worked = year.working_weekends.into_iter();
        let worked = worked.map(|day| (day.date, Kept::WorkingWeekend { instead_of: day.instead_of.weekday() }));
        let mut special: Vec<_> = holidays.chain(days_off).chain(worked).collect();
        special.sort_by_key(|(date, _)| *date);
        let mut short_days: Vec<_> = year.short_days.into_iter().map(|day| day.date).collect();
        short_days.sort();
        Self { official: year.status == YearStatus::Official, special, short_days }
    }
}

#[derive(Deserialize)]
struct FederalFile {
    #[serde(deserialize_with = "date")]
    updated: Date,
    years: BTreeMap<i16, YearEntry>,
}

#[derive(Deserialize)]
struct YearEntry {
    status: YearStatus,
    holidays: Vec<NamedDate>,
    days_off: Vec<DayOff>,
    working_weekends: Vec<WorkingWeekend>,
    short_days: Vec<ShortDay>,
    totals: Totals,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum YearStatus {
    Official,
    Provisional,
}

#[derive(Deserialize)]
struct NamedDate {
    #[serde(deserialize_with = "date")]
    date: Date,
    name: String,
}

#[derive(Deserialize)]
struct DayOff {
    #[serde(deserialize_with = "date")]
    date: Date,
    #[serde(deserialize_with = "date")]
    from: Date,
    basis: String,
}

#[derive(Deserialize)]
struct WorkingWeekend {
    #[serde(deserialize_with = "date")]
    date: Date,
    #[serde(deserialize_with = "date")]
    instead_of: Date,
}

#[derive(Deserialize)]
struct ShortDay {
    #[serde(deserialize_with = "date")]
    date: Date,
}

/// The check sums of a year.
#[derive(Deserialize)]
struct Totals {
    days: usize,
    days_off: usize,
    working_days: usize,
    short_days: usize,
    hours_40h_week: usize,
}

impl FederalFile {
    /// What is wrong with the file, each as a sentence; every check of its description.
    fn mistakes(&self) -> Vec<String> {
        let years: Vec<i16> = self.years.keys().copied().collect();
        let mut told = Vec::new();
        if years.is_empty() || years.len() > 60 || years.iter().any(|year| !(2000..2200).contains(year)) {
            told.push("Нужны годы от 2000 до 2199, не больше 60.".to_owned());
            return told;
        }
        if years.windows(2).any(|pair| pair[1] != pair[0] + 1) {
            told.push("Между годами есть пропуск: годы должны идти подряд.".to_owned());
        }
        for (year, entry) in &self.years {
            told.extend(entry.mistakes(*year).into_iter().map(|what| format!("{year} год: {what}.")));
        }
        told
    }
}

impl YearEntry {
    fn mistakes(&self, year: i16) -> Vec<String> {
        let mut told = Vec::new();
        let off = self.days_off.iter().map(|day| day.date);
        let closed: Vec<Date> = self.holidays.iter().map(|day| day.date).chain(off).collect();
        let worked: Vec<Date> = self.working_weekends.iter().map(|day| day.date).collect();
        let short: Vec<Date> = self.short_days.iter().map(|day| day.date).collect();
        for date in closed.iter().chain(&worked).chain(&short).filter(|date| date.year() != year) {
            told.push(format!("{} из другого года", shown(*date)));
        }
        for day in self.holidays.iter().filter(|day| !is_name(&day.name)) {
            told.push(format!(
                "{}: название пустое, длиннее {LONGEST_NAME} знаков или с невидимыми знаками",
                shown(day.date)
            ));
        }
        for dates in [&closed, &worked, &short] {
            let mut seen = HashSet::new();
            told.extend(
                dates.iter().filter(|date| !seen.insert(**date)).map(|date| format!("{} дважды", shown(*date))),
            );
        }
        for date in worked.iter().filter(|date| !is_weekend(**date) || closed.contains(date)) {
            told.push(format!("{} не может быть рабочим выходным", shown(*date)));
        }
        for moved in self.days_off.iter().filter(|day| day.basis == "decree" && !is_weekend(day.from)) {
            told.push(format!("{}: выходной перенесён с буднего дня {}", shown(moved.date), shown(moved.from)));
        }
        for worked in &self.working_weekends {
            let given_back = |day: &DayOff| day.from == worked.date && day.date == worked.instead_of;
            if !self.days_off.iter().any(given_back) {
                told.push(format!("за рабочий день {} не дан выходной", shown(worked.date)));
            }
        }
        if told.is_empty() {
            told.extend(self.sums(year, &closed, &worked));
        }
        told
    }

    fn sums(&self, year: i16, closed: &[Date], worked: &[Date]) -> Option<String> {
        let first = Date::new(year, 1, 1).ok()?;
        let all = std::iter::successors(Some(first), |date| date.tomorrow().ok()).take_while(|it| it.year() == year);
        let closed: HashSet<Date> = closed.iter().copied().collect();
        let off = all.clone().filter(|date| closed.contains(date) || (is_weekend(*date) && !worked.contains(date)));
        let (days, off) = (all.count(), off.count());
        let short = self.short_days.len();
        let counted = [days, off, days - off, short, (8 * (days - off)).saturating_sub(short)];
        let Totals { days, days_off, working_days, short_days, hours_40h_week } = self.totals;
        let given = [days, days_off, working_days, short_days, hours_40h_week];
        (counted != given).then(|| {
            format!(
                "итоги не сходятся: в файле {given:?}, по датам {counted:?} (дни, выходные, рабочие, короткие, часы)"
            )
        })
    }
}

pub(super) struct Regional {
    pub updated: Date,
    /// By date, each at most once.
    pub days: Vec<RegionalDay>,
    digest: Vec<u8>,
}

impl Regional {
    fn read(text: &str) -> Result<Self, Vec<String>> {
        let RegionalFile { updated, mut days } = serde_json::from_str(text).map_err(|error| vec![not_read(&error)])?;
        days.sort_by_key(|day| day.date);
        let mut told = Vec::new();
        for pair in days.windows(2).filter(|pair| pair[0].date == pair[1].date) {
            told.push(format!("{} дважды.", shown(pair[0].date)));
        }
        for day in days.iter().filter(|day| !is_name(&day.name)) {
            told.push(format!(
                "{}: название пустое, длиннее {LONGEST_NAME} знаков или с невидимыми знаками.",
                shown(day.date)
            ));
        }
        if days.is_empty() || days.len() > 2000 || days.iter().any(|day| !(2000..2200).contains(&day.date.year())) {
            told.push("Нужны даты от 2000 до 2199 года, не больше 2000.".to_owned());
        }
        if told.is_empty() { Ok(Self { updated, days, digest: Sha256::digest(text).to_vec() }) } else { Err(told) }
    }
}

#[derive(Deserialize)]
struct RegionalFile {
    #[serde(deserialize_with = "date")]
    updated: Date,
    days: Vec<RegionalDay>,
}

/// A day of the republic. Only announced days are applied; the others are for the administrator to decide.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RegionalDay {
    #[serde(deserialize_with = "date")]
    pub date: Date,
    pub name: String,
    pub status: RegionalStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RegionalStatus {
    Announced,
    Estimated,
    Uncertain,
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= LONGEST_NAME && !name.contains(char::is_control)
}

fn shown(date: Date) -> String {
    date.strftime("%d.%m.%Y").to_string()
}

/// The library's words are English, so only the place is told.
fn not_read(error: &serde_json::Error) -> String {
    format!("Файл не прочитан: ошибка в строке {}, знак {}.", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::days::{FIXED_HOLIDAYS, unpublished};
    use super::*;

    fn file() -> FederalFile {
        serde_json::from_str(DataSet::Russia.text()).expect("ru.json")
    }

    fn changed(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut file: Value = serde_json::from_str(DataSet::Russia.text()).expect("ru.json");
        change(&mut file);
        HolidayData::built_in().with(DataSet::Russia, &file.to_string()).err().unwrap_or_default()
    }

    #[test]
    fn the_files_of_the_program_pass_every_check_of_the_loader() {
        for set in DataSet::ALL {
            let read = HolidayData::built_in().with(set, set.text()).expect("no mistakes");
            assert_eq!(read, HolidayData::built_in());
            assert_eq!(data_set_of(set.text()), Some(set));
        }
    }

    #[test]
    fn a_file_with_a_mistake_is_refused_with_its_year_and_date() {
        let year = |file: &mut Value| file["years"]["2026"].take();
        let told = changed(|file| {
            let mut entry = year(file);
            entry["holidays"][0]["date"] = json!("2027-01-01");
            file["years"]["2026"] = entry;
        });
        assert!(told.contains(&"2026 год: 01.01.2027 из другого года.".to_owned()), "{told:?}");
        let told = changed(|file| file["years"]["2026"]["totals"]["working_days"] = json!(1));
        assert!(told[0].starts_with("2026 год: итоги не сходятся"), "{told:?}");
        let told = changed(|file| file["years"]["2024"]["days_off"] = json!([]));
        assert!(told.iter().any(|told| told.contains("не дан выходной")), "{told:?}");
        let told = changed(|file| drop(file["years"].as_object_mut().unwrap().remove("2025")));
        assert_eq!(told, ["Между годами есть пропуск: годы должны идти подряд."]);
        let told = HolidayData::built_in().with(DataSet::Russia, "{\n oops").unwrap_err();
        assert!(told[0].starts_with("Файл не прочитан: ошибка в строке 2"), "{told:?}");
        let twice = json!({"updated": "2027-01-01", "days": [
            {"date": "2027-03-09", "name": "Ураза-Байрам", "status": "announced"},
            {"date": "2027-03-09", "name": " ", "status": "announced"}]});
        let told = HolidayData::built_in().with(DataSet::Chechnya, &twice.to_string()).unwrap_err();
        assert_eq!(told.len(), 2, "{told:?}");
        // A decision keeps the name of its day, and no database keeps this one.
        let unkeepable = json!({"updated": "2027-01-01", "days": [
            {"date": "2027-03-09", "name": "Ураза\u{0}Байрам", "status": "announced"}]});
        let told = HolidayData::built_in().with(DataSet::Chechnya, &unkeepable.to_string()).unwrap_err();
        assert!(told[0].contains("невидимыми"), "{told:?}");
    }

    #[test]
    fn the_fixed_dates_and_the_codes_own_shift_are_those_of_every_published_year() {
        for (year, entry) in file().years {
            let fixed: Vec<_> = entry.holidays.iter().map(|day| (day.date.month(), day.date.day())).collect();
            assert_eq!(fixed, FIXED_HOLIDAYS, "{year}");
            for moved in entry.days_off.iter().filter(|day| day.basis == "art112") {
                let shifted = Some(Special::DayOff { from: moved.from.weekday() });
                assert_eq!(unpublished(moved.date), shifted, "{year}: {}", moved.date);
            }
        }
    }
}
