//! What a change would do, before it is saved; and the saving of just that.

use std::collections::BTreeSet;

use askama::Template;
use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::asked::{Asked, Mistake, refused};
use super::history::{exception_words, set_words};
use super::words::{by_line, date_words, day_words, until_words, week_words};
use super::{View, files, forms};
use crate::core::calendar::{
    DataSet, Difference, Exception, ExceptionMode, HolidayData, HoursChanges, HoursStep, differences, read_ics,
};
use crate::core::line::{LineId, Lines};
use crate::core::officer::Role;
use crate::store::{HoursEffect, HoursError, Person};
use crate::time::{Date, Timestamp};
use crate::web::pages::frame::{Frame, Here};
use crate::web::pages::refused::PageError;
use crate::web::pages::sign_in::Address;
use crate::web::pages::words::{Wall, counted};
use crate::web::pages::{Seen, Visitor, page};
use crate::web::{Error, House};

/// As many changed dates and callbacks as one page shows.
const MOST_SHOWN: usize = 100;

/// As many dates as a change is looked through for.
const MOST_DATES: usize = 2000;

type Sent = Result<Form<Vec<(String, String)>>, FormRejection>;

#[derive(Template)]
#[template(path = "calendar_check.html")]
struct CheckPage {
    frame: Frame,
    told: Option<&'static str>,
    title: &'static str,
    save: &'static str,
    changes: Vec<String>,
    more: usize,
    /// What a file holds that is not taken.
    refused: Vec<String>,
    moved: Option<String>,
    callbacks: Vec<String>,
    seen: i64,
    asked: Asked,
    back: String,
}

pub(super) async fn check(Seen(house): Seen, visitor: Visitor, sent: Sent) -> Result<Response, PageError> {
    let (asked, now) = (asked(sent)?, house.clock.now());
    let person = visitor.at_least(role(&asked))?;
    preview(&house, &person, asked, None, now).await
}

/// Back to the form with what was typed.
pub(super) async fn edit(Seen(house): Seen, visitor: Visitor, sent: Sent) -> Result<Response, PageError> {
    let (asked, now) = (asked(sent)?, house.clock.now());
    let person = visitor.at_least(role(&asked))?;
    again(&house, &person, asked, Vec::new(), now).await
}

pub(super) async fn save(
    Seen(house): Seen,
    visitor: Visitor,
    Address(address): Address,
    sent: Sent,
) -> Result<Response, PageError> {
    let (asked, now) = (asked(sent)?, house.clock.now());
    let person = visitor.at_least(role(&asked))?;
    let changes = house.store.hours_changes().await?;
    let step = match asked.step(&house.lines(), &changes, now) {
        Ok(step) => step,
        Err(mistakes) => return again(&house, &person, asked, mistakes, now).await,
    };
    let seen = asked.get("seen").parse().unwrap_or(-1);
    match house.store.change_hours(step.clone(), Some(seen), &person.actor, &address, now).await {
        Ok(effect) => {
            let day = match &step {
                HoursStep::Except(new) => new.first().map_or(String::new(), |it| it.from.to_string()),
                _ => asked.get("from").to_owned(),
            };
            let moved = Some(effect.moved.len());
            let view = View { day, line: asked.get("line").to_owned(), moved, ..View::default() };
            Ok(Redirect::to(&view.address()).into_response())
        }
        Err(HoursError::Stale) => {
            let told =
                "Пока вы смотрели, рабочее время изменил кто-то другой. Проверьте ещё раз: ниже новые последствия.";
            preview(&house, &person, asked, Some(told), now).await
        }
        Err(HoursError::Refused(refusal)) => again(&house, &person, asked, vec![refused(&refusal, &step)], now).await,
        Err(HoursError::Store(failed)) => Err(failed.into()),
    }
}

fn asked(sent: Sent) -> Result<Asked, PageError> {
    match sent {
        Ok(Form(fields)) => Ok(Asked(fields)),
        Err(_) => Err(Error::BadRequest("Форма пришла не целиком. Вернитесь и повторите.".to_owned()).into()),
    }
}

/// Data of the law are the administrator's.
fn role(asked: &Asked) -> Role {
    if matches!(asked.get("step"), "data" | "built_in") { Role::Admin } else { Role::Senior }
}

/// The page the form came from, with what was typed and what is wrong with it.
pub(super) async fn again(
    house: &House,
    person: &Person,
    asked: Asked,
    mistakes: Vec<Mistake>,
    now: Timestamp,
) -> Result<Response, PageError> {
    match asked.get("step") {
        "week" => forms::draw_week(house, person, asked, mistakes, now).await,
        "close" => forms::draw_close(house, person, asked, mistakes, now).await,
        "data" | "built_in" => files::draw_data(house, person, mistakes, now).await,
        "ics" => files::draw_ics(house, person, asked, mistakes, now).await,
        _ => {
            let (day, line) = (asked.get("from").to_owned(), asked.get("line").to_owned());
            let view = View { day, line, ..View::default() };
            super::draw(house, person, view, Some((asked, mistakes)), now).await
        }
    }
}

/// What the form would do. `told`: why it is shown again.
pub(super) async fn preview(
    house: &House,
    person: &Person,
    mut asked: Asked,
    told: Option<&'static str>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let current = house.store.hours_changes().await?;
    let step = match asked.step(&house.lines(), &current, now) {
        Ok(step) => step,
        Err(mistakes) => return again(house, person, asked, mistakes, now).await,
    };
    let effect = match house.store.look_at_hours(&step, now).await {
        Ok(effect) => effect,
        Err(HoursError::Refused(refusal)) => {
            return again(house, person, asked, vec![refused(&refusal, &step)], now).await;
        }
        Err(HoursError::Store(failed)) => return Err(failed.into()),
        // Looking knows no revision that could be old.
        Err(HoursError::Stale) => return Err(Error::NotFound.into()),
    };
    let mut changes = consequences(&step, &effect, &current, now);
    let more = changes.len().saturating_sub(MOST_SHOWN);
    changes.truncate(MOST_SHOWN);
    let refused = match asked.get("step") {
        "ics" => read_ics(&asked.file()).map_or(Vec::new(), |(_, refused)| {
            refused.iter().take(MOST_SHOWN).map(|it| format!("Строка {}: {}.", it.line, it.problem)).collect()
        }),
        _ => Vec::new(),
    };
    let moved = (!effect.moved.is_empty()).then(|| {
        let whose = ["открытого обращения", "открытых обращений", "открытых обращений"];
        format!("Изменится срок у {}", counted(effect.moved.len() as i64, whose))
    });
    asked.set("seen", effect.revision.to_string());
    let (title, save) = titles(&step);
    let page = CheckPage {
        frame: Frame::of(house, person, Here::Calendar, now).await?,
        told,
        title,
        save,
        changes,
        more,
        refused,
        moved,
        callbacks: moved_words(&effect, now),
        seen: effect.revision,
        back: View { day: asked.get("from").to_owned(), line: asked.get("line").to_owned(), ..View::default() }
            .address(),
        asked,
    };
    let status = if told.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    Ok((status, self::page(&page)).into_response())
}

fn titles(step: &HoursStep) -> (&'static str, &'static str) {
    match step {
        HoursStep::Except(_) | HoursStep::EndExceptions(_) => ("Проверьте изменение", "Сохранить"),
        HoursStep::Week { .. } => ("Проверьте рабочее время", "Сохранить"),
        HoursStep::Close { .. } => ("Закрыть линию прямо сейчас", "Закрыть"),
        HoursStep::OpenAgain { .. } => ("Открыть линию раньше", "Открыть"),
        HoursStep::TakeData { .. } | HoursStep::TakeBuiltIn { .. } => ("Проверьте данные о праздниках", "Применить"),
    }
}

/// What changes, each as a sentence.
fn consequences(step: &HoursStep, effect: &HoursEffect, current: &HoursChanges, now: Timestamp) -> Vec<String> {
    match step {
        HoursStep::Except(new) if new.iter().all(|it| it.mode == ExceptionMode::Rule) => {
            [ended(step, effect, current), changed_days(effect, new.iter())].concat()
        }
        HoursStep::Except(new) => changed_days(effect, new.iter()),
        HoursStep::EndExceptions(ids) => {
            let gone = current.exceptions.iter().filter(|exception| ids.contains(&exception.id));
            [ended(step, effect, current), changed_days(effect, gone)].concat()
        }
        HoursStep::Week { .. } => changed_weeks(effect),
        HoursStep::Close { line, until, reason } => {
            let told = by_line(concerned(&effect.after, line), |line| {
                let wall = Wall::new(line.calendar.time_zone(), now);
                let next = line.calendar.next_period(now);
                let next =
                    next.map_or("нет рабочих часов".to_owned(), |period| wall.coming(period.start));
                format!("закрыто с этой минуты {}, причина: {reason}; откроется: {next}", until_words(&wall, *until))
            });
            told.into_iter().map(|told| format!("{told}.")).collect()
        }
        HoursStep::OpenAgain { id } => {
            let of = current.closures.iter().find(|(known, ..)| known == id).and_then(|(_, line, _)| line.clone());
            by_line(concerned(&effect.after, &of), |line| match line.calendar.period_at(now) {
                Some(period) => {
                    let wall = Wall::new(line.calendar.time_zone(), now);
                    format!("откроется сразу, {}.", wall.until(period.end))
                }
                None => "сейчас нерабочее время, останется закрыта до начала рабочего.".to_owned(),
            })
        }
        HoursStep::TakeData { set, .. } | HoursStep::TakeBuiltIn { set } => {
            let after = after_data(step, current);
            let before = current.data.clone().unwrap_or_else(HolidayData::built_in);
            let mut told = vec![format!(
                "{}: данные от {} сменятся данными от {}.",
                set_words(*set),
                before.updated(*set).strftime("%d.%m.%Y"),
                after.updated(*set).strftime("%d.%m.%Y")
            )];
            told.extend(differences_words(&before, &after, *set, &effect.after));
            told
        }
    }
}

/// «Перестанет действовать: Все линии, 23–25 ноября 2026: выходной, ремонт.»
fn ended(step: &HoursStep, effect: &HoursEffect, current: &HoursChanges) -> Vec<String> {
    let ids = current.replaced_by(step);
    let ended = current.exceptions.iter().filter(|it| ids.contains(&it.id) && it.mode != ExceptionMode::Rule);
    let words = ended.map(|it| {
        let reason = if it.reason.is_empty() { String::new() } else { format!(", {}", it.reason) };
        format!("Перестанет действовать: {}{reason}.", exception_words(it, &effect.after))
    });
    words.collect()
}

fn after_data(step: &HoursStep, current: &HoursChanges) -> HolidayData {
    let after = current.after(step, Timestamp::UNIX_EPOCH).ok().and_then(|changes| changes.data);
    after.unwrap_or_else(HolidayData::built_in)
}

/// «Добавится: 8 мая 2027, сокращённый день до 17:00.»
pub(super) fn differences_words(before: &HolidayData, after: &HolidayData, set: DataSet, lines: &Lines) -> Vec<String> {
    let words = |difference: &Difference| {
        let told = difference.to_string();
        match difference {
            Difference::Date { date, after: Some(_), short: true, .. } => {
                let calendar = lines.default_calendar();
                let day = calendar.day(*date);
                let end = day.intervals().next_back().filter(|_| day.shortened);
                let until = end.map(|it| format!(" до {:02}:{:02}", it.end_minute() / 60, it.end_minute() % 60));
                format!("{}{}.", told.trim_end_matches('.'), until.unwrap_or_default())
            }
            _ => told,
        }
    };
    differences(before, after, set).iter().map(words).collect()
}

fn concerned<'l>(lines: &'l Lines, of: &Option<LineId>) -> impl Iterator<Item = &'l crate::core::line::Line> {
    let of = of.clone();
    lines.iter().filter(move |line| of.as_ref().is_none_or(|of| line.id == *of))
}

/// «среда, 25 ноября: было — рабочий день, 09:00–18:00; станет — закрыто по решению школы: ремонт.»
fn changed_days<'e>(effect: &HoursEffect, exceptions: impl Iterator<Item = &'e Exception>) -> Vec<String> {
    let mut dates: BTreeSet<Date> = BTreeSet::new();
    for exception in exceptions {
        let all = std::iter::successors(Some(exception.from), |date| date.tomorrow().ok());
        let left = MOST_DATES.saturating_sub(dates.len());
        dates.extend(all.take_while(|date| *date <= exception.to).take(left));
    }
    let mut told = Vec::new();
    for date in dates {
        let changed = |line: &&crate::core::line::Line| {
            let before = &effect.before.by_id(&line.id).calendar;
            day_words(before, date) != day_words(&line.calendar, date)
        };
        let lines: Vec<_> = effect.after.iter().filter(changed).collect();
        let is_all = lines.len() == effect.after.iter().count();
        let words = lines.iter().map(|line| {
            let before = day_words(&effect.before.by_id(&line.id).calendar, date);
            (line.title.as_str(), format!("было — {before}; станет — {}", day_words(&line.calendar, date)))
        });
        let words: Vec<(&str, String)> = words.collect();
        match &words[..] {
            [] => {}
            [(_, first), rest @ ..] if is_all && rest.iter().all(|(_, it)| it == first) => {
                told.push(format!("{} {}: {first}.", date_words(date), date.year()));
            }
            all => told
                .extend(all.iter().map(|(title, it)| format!("{} {}, {title}: {it}.", date_words(date), date.year()))),
        }
    }
    if told.is_empty() {
        told.push("Рабочее время в эти дни останется прежним.".to_owned());
    }
    told
}

fn changed_weeks(effect: &HoursEffect) -> Vec<String> {
    by_line(effect.after.iter(), |line| {
        let before = week_words(effect.before.by_id(&line.id).calendar.hours());
        let after = week_words(line.calendar.hours());
        if before == after {
            format!("останется {after}.")
        } else {
            format!("было — {before}; станет — {after}.")
        }
    })
}

/// «8 928 123-45-67, Родители: до пн 23.11, 18:00 → до вт 24.11, 18:00»
fn moved_words(effect: &HoursEffect, now: Timestamp) -> Vec<String> {
    let shown = effect.moved.iter().take(MOST_SHOWN).map(|(callback, terms)| {
        let line = effect.after.by_id(&callback.line);
        let wall = Wall::new(line.calendar.time_zone(), now);
        let due = |at: Option<Timestamp>| at.map_or("без срока".to_owned(), |at| wall.until(at));
        let number = callback.number_to_dial().map_or("номер скрыт".to_owned(), |number| number.spaced());
        let term = match callback.term_due_at == terms.term_due_at {
            true => String::new(),
            false => format!("; срок ответа {} → {}", due(callback.term_due_at), due(terms.term_due_at)),
        };
        format!("{number}, {}: {} → {}{term}", line.title, due(callback.due_at), due(terms.due_at()))
    });
    let mut shown: Vec<String> = shown.collect();
    let more = effect.moved.len() - shown.len();
    if more > 0 {
        shown.push(format!("и ещё {more}"));
    }
    shown
}
