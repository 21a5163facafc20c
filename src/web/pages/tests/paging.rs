//! Lists longer than a page.

use super::*;

/// The address of this page's link with this label.
fn link<'p>(page: &'p str, label: &str) -> Option<&'p str> {
    let before = &page[..page.find(&format!("\">{label}</a>"))?];
    Some(&before[before.rfind('"')? + 1..])
}

/// All pages of one view, one after the other.
async fn all_pages(school: &School, cookie: &str, first: &str) -> Vec<String> {
    let mut pages = vec![school.get(first, cookie).await.text];
    while let Some(next) = link(pages.last().unwrap(), "Показать ещё") {
        let next = next.replace("&#38;", "&").replace("&amp;", "&");
        pages.push(school.get(&next, cookie).await.text);
        assert!(pages.len() < 20, "the pages come to an end");
    }
    pages
}

/// The page once read one part of the history by due time: what was closed beyond it was neither shown nor counted.
#[tokio::test]
async fn six_hundred_closures_of_a_day_are_all_counted_and_all_shown() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let ids = school.callbacks_of(610).await;
    school.close(&ids[..600]).await;
    let pages = all_pages(&school, &cookie, "/callbacks?show=done").await;
    assert!(pages.iter().all(|page| page.contains("Осталось 10") && page.contains("сделано 600")), "{}", pages[0]);
    for id in &ids[..600] {
        assert_eq!(pages.iter().filter(|page| page.contains(&format!("id=\"c{id}\""))).count(), 1);
    }
    let pages = all_pages(&school, &cookie, "/callbacks?show=all&line=parents").await;
    for id in &ids {
        assert_eq!(pages.iter().filter(|page| page.contains(&format!("id=\"c{id}\""))).count(), 1);
    }
    school.clock.set(school.clock.now() + SignedDuration::from_hours(24));
    let cookie = school.sign_in("madina").await;
    assert!(school.get("/callbacks", &cookie).await.text.contains("сделано 0"));
}

/// It was cut at 2000, and then said that 2000 were left.
#[tokio::test]
async fn a_list_of_thousands_is_not_cut() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let ids = school.callbacks_of(2010).await;
    let pages = all_pages(&school, &cookie, "/callbacks").await;
    assert!(pages.iter().all(|page| page.contains("Осталось 2010")));
    let shown: usize = pages.iter().map(|page| page.matches("<span class=\"number\">").count()).sum();
    assert_eq!((shown, pages.len()), (2010, 11));
    assert!(link(&pages[0], "К началу списка").is_none() && link(&pages[1], "К началу списка") == Some("/callbacks"));
    let last = ids.iter().find(|id| pages[10].contains(&format!("id=\"c{id}\""))).unwrap();
    let second = link(&pages[9], "Показать ещё").unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let query = second.split_once('?').unwrap().1;
    let done = school.post(&format!("/callbacks/{last}/done?{query}"), &cookie, "").await;
    assert_eq!(done.header(LOCATION), format!("/callbacks?{query}&did={last}"), "on the same page");
}
