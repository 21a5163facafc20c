//! Stories of the calendar's pages.

use super::*;
use crate::core::calendar::{DataSet, HolidayData};

/// A form of these fields.
fn form(fields: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        form.append_pair(name, value);
    }
    form.finish()
}

const DAY_OFF: [(&str, &str); 6] = [
    ("step", "exception"),
    ("mode", "closed"),
    ("from", "2026-11-23"),
    ("to", "2026-11-23"),
    ("line", ""),
    ("reason", "ремонт <b>"),
];

impl School {
    async fn administrator(&self) -> String {
        let hash = password::hash(PASSWORD);
        let added = self.house.store.add_officer("admin", "Админ", Role::Admin, &hash, self.clock.now()).await.unwrap();
        assert!(added);
        self.sign_in("admin").await
    }

    /// The form, its preview, and the saving of what the preview saw.
    async fn change(&self, cookie: &str, fields: &[(&str, &str)]) -> (Answer, Answer) {
        let preview = self.post("/calendar/check", cookie, &form(fields)).await;
        assert_eq!(preview.status, StatusCode::OK, "{}", preview.text);
        let seen = preview.text.split("name=\"seen\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let mut fields = fields.to_vec();
        fields.push(("seen", &seen));
        let saved = self.post("/calendar/save", cookie, &form(&fields)).await;
        (preview, saved)
    }

    async fn send_file(&self, cookie: &str, address: &str, content: &[u8]) -> Answer {
        let mut body = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n".to_vec();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n--x--\r\n");
        let request = posted(address, cookie).header(CONTENT_TYPE, "multipart/form-data; boundary=x");
        let mut request = request.body(Body::from(body)).unwrap();
        request.headers_mut().insert(CONTENT_TYPE, "multipart/form-data; boundary=x".parse().unwrap());
        self.send(request).await
    }
}

#[tokio::test]
async fn the_month_can_be_read_without_colour_and_the_day_says_why() {
    let school = School::open().await;
    let cookie = school.sign_in("head").await;
    let page = school.get("/calendar?day=2026-11-04&at=2026-11-20T19:40", &cookie).await.text;
    for words in [
        "пн–пт 09:00–18:00; сб, вс выходные",
        "Ноябрь 2026",
        "aria-hidden=\"true\">П</span>",
        " ноября, среда, праздничный день: День народного единства",
        "нерабочее время, перезвонить пн 23.11, 09:00–18:00. Почему: рабочий день, 09:00–18:00; после закрытия.",
        "Пункты 5 и 6 регламента, изменить нельзя.",
        "не задан: в регламенте он не указан, поэтому не считается",
    ] {
        assert!(page.contains(words), "{words}\n{page}");
    }
    assert!(!page.contains("Проверить и сохранить"), "an observer looks");
    for day in ["", "x", "9999-99-99", "-009999-01-01", "9999-12-31"] {
        assert_eq!(school.get(&format!("/calendar?day={day}"), &cookie).await.status, StatusCode::OK, "{day}");
    }
}

#[tokio::test]
async fn a_change_shows_what_it_does_and_is_saved_with_who_and_why() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let id = school.callback_of("89281234567").await;
    let (preview, saved) = school.change(&cookie, &DAY_OFF).await;
    for words in [
        "понедельник, 23 ноября 2026: было — рабочий день, 09:00–18:00; станет — закрыто по решению школы: ремонт",
        "Изменится срок у 1\u{a0}открытого обращения",
        "8 928 123-45-67, Родители: до\u{a0}18:00 → до\u{a0}вт\u{a0}24.11, 18:00",
    ] {
        assert!(preview.text.contains(words), "{words}\n{}", preview.text);
    }
    assert_eq!(saved.header(LOCATION), "/calendar?day=2026-11-23&moved=1");
    let page = school.get(saved.header(LOCATION), &cookie).await.text;
    assert!(page.contains("Сохранено. Срок изменился у 1\u{a0}открытого обращения."), "{page}");
    assert!(page.contains("СВ</span>") && !page.contains("<b>"), "{page}");
    let due = school.house.store.callback(id).await.unwrap().unwrap().callback.due_at;
    assert_eq!(due, Some("2026-11-24T18:00:00+03:00".parse().unwrap()));
    let history = school.get("/calendar/history", &cookie).await.text;
    assert!(history.contains("Все линии, 23 ноября 2026: выходной, ремонт"), "{history}");

    let back = [("step", "exception"), ("mode", "rule"), ("from", "2026-11-23"), ("to", "2026-11-23"), ("line", "")];
    let (_, saved) = school.change(&cookie, &back).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    assert!(school.get("/calendar/history", &cookie).await.text.contains("Больше не действует: Айшат"));
}

#[tokio::test]
async fn one_day_of_a_longer_exception_goes_back_to_the_rule_and_the_others_stay() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let days = |mode, from, to, line| {
        [("step", "exception"), ("mode", mode), ("from", from), ("to", to), ("line", line), ("reason", "ремонт")]
    };
    school.change(&cookie, &days("closed", "2026-11-24", "2026-11-26", "")).await;
    let (preview, saved) = school.change(&cookie, &days("rule", "2026-11-25", "2026-11-25", "parents")).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    assert!(!preview.text.contains("Перестанет действовать"), "{}", preview.text);
    assert!(preview.text.contains("25 ноября") && !preview.text.contains("24 ноября"), "{}", preview.text);
    let open = |at: &str| {
        let lines = school.house.lines();
        let calendar = &lines.by_id(&LineId::new("parents")).calendar;
        calendar.is_open(format!("2026-11-{at}T12:00:00+03:00").parse().unwrap())
    };
    assert_eq!(["24", "25", "26"].map(open), [false, true, false]);
    let page = school.get("/calendar?day=2026-11-25&line=parents", &cookie).await.text;
    assert!(page.contains("value=\"rule\" checked") && page.contains("по общему правилу"), "{page}");
    let again = school.post("/calendar/check", &cookie, &form(&days("rule", "2026-11-25", "", "parents"))).await;
    assert!(again.text.contains("День и так по общему правилу"), "{}", again.text);
    let (preview, _) = school.change(&cookie, &days("rule", "2026-11-20", "2026-11-30", "")).await;
    assert!(
        preview.text.contains("Перестанет действовать: Все линии, 24–26 ноября 2026: выходной, ремонт."),
        "{}",
        preview.text
    );
    assert_eq!(["24", "25", "26"].map(open), [true, true, true]);
    assert!(school.house.store.hours_changes().await.unwrap().exceptions.is_empty());
}

#[tokio::test]
async fn other_hours_keep_their_break() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let hours = "9:00-13:00, 14:00-17:00";
    let day =
        [("step", "exception"), ("mode", "hours"), ("hours", hours), ("from", "2026-11-25"), ("to", "2026-11-25")];
    let (preview, saved) = school.change(&cookie, &day).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    assert!(preview.text.contains("09:00–13:00, 14:00–17:00"), "{}", preview.text);
    let page = school.get("/calendar?day=2026-11-25", &cookie).await.text;
    assert!(
        page.contains("name=\"hours\" maxlength=\"100\" autocomplete=\"off\" value=\"09:00–13:00, 14:00–17:00\""),
        "{page}"
    );
    let calendar = school.house.lines().default_calendar().clone();
    let at = |time: &str| calendar.is_open(format!("2026-11-25T{time}:00+03:00").parse().unwrap());
    assert_eq!(["12:59", "13:30", "16:59", "17:00"].map(at), [true, false, true, false]);
    let mut nothing = day;
    nothing[2].1 = " ";
    let page = school.post("/calendar/check", &cookie, &form(&nothing)).await;
    assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("href=\"#hours\""), "{}", page.text);
}

#[tokio::test]
async fn officers_look_seniors_change_hours_and_administrators_data() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    for address in ["/calendar/check", "/calendar/save", "/calendar/edit"] {
        assert_eq!(school.post(address, &madina, &form(&DAY_OFF)).await.status, StatusCode::FORBIDDEN, "{address}");
        let data = form(&[("step", "built_in"), ("set", "ru")]);
        assert_eq!(school.post(address, &aishat, &data).await.status, StatusCode::FORBIDDEN, "{address}");
    }
    for address in ["/calendar/week", "/calendar/close", "/calendar/ics"] {
        assert_eq!(school.get(address, &madina).await.status, StatusCode::FORBIDDEN, "{address}");
        assert_eq!(school.get(address, &aishat).await.status, StatusCode::OK, "{address}");
    }
    assert_eq!(school.send_file(&aishat, "/calendar/data", b"{}").await.status, StatusCode::FORBIDDEN);
    assert_eq!(school.get("/calendar", "").await.status, StatusCode::SEE_OTHER);
    assert!(school.house.store.hours_in_force().await.unwrap().is_empty());
}

#[tokio::test]
async fn mistakes_are_told_beside_their_fields_and_what_was_typed_stays() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let wrong = [
        ("step", "exception"),
        ("mode", "hours"),
        ("hours", "10:00–09:00"),
        ("from", "2026-11-26"),
        ("to", "2026-11-25"),
        ("reason", "ремонт кабинета"),
    ];
    let page = school.post("/calendar/check", &cookie, &form(&wrong)).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    for words in ["href=\"#to\"", "href=\"#hours\"", "value=\"ремонт кабинета\"", "Ошибка: Календарь"]
    {
        assert!(page.text.contains(words), "{words}\n{}", page.text);
    }
    let week = [("step", "week"), ("mon", "9:00–13:00, 14–18"), ("tue", "10:00-16:00")];
    let page = school.post("/calendar/check", &cookie, &form(&week)).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text.contains("href=\"#mon\"") && page.text.contains("value=\"9:00–13:00, 14–18\""), "{}", page.text);
    let past = [("step", "close"), ("until", "time"), ("time", "08:00")];
    let page = school.post("/calendar/check", &cookie, &form(&past)).await;
    assert!(page.text.contains("Это время уже прошло") && page.text.contains("Напишите причину"), "{}", page.text);
    let nothing = [("step", "exception"), ("mode", "rule"), ("from", "2026-11-26")];
    let page = school.post("/calendar/check", &cookie, &form(&nothing)).await;
    assert!(page.text.contains("День и так по общему правилу"), "{}", page.text);
    for step in ["", "nonsense", "open", "built_in"] {
        let answer = school.post("/calendar/check", &cookie, &form(&[("step", step)])).await;
        assert!(answer.status.is_client_error(), "{step}: {}", answer.status);
    }
}

#[tokio::test]
async fn who_looked_at_an_older_calendar_looks_again() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let (_, saved) = school.change(&cookie, &DAY_OFF).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    let mut stale = DAY_OFF.to_vec();
    stale.push(("seen", "0"));
    let answer = school.post("/calendar/save", &cookie, &form(&stale)).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text.contains("Пока вы смотрели, рабочее время изменил кто-то другой"), "{}", answer.text);
}

#[tokio::test]
async fn a_closed_line_is_told_on_every_page_until_it_opens() {
    let school = School::open().await;
    let (aishat, head) = (school.sign_in("aishat").await, school.sign_in("head").await);
    let fields =
        [("step", "close"), ("line", "parents"), ("until", "time"), ("time", "12:00"), ("reason", "нет связи")];
    let (_, saved) = school.change(&aishat, &fields).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    for address in ["/callbacks", "/calls", "/calendar", "/calendar/history"] {
        let page = school.get(address, &head).await.text;
        assert!(page.contains("Линия «Родители» закрыта до\u{a0}12:00: нет связи."), "{address}\n{page}");
    }
    assert!(!school.get("/login", "").await.text.contains("закрыта"));
    school.clock.set("2026-11-23T12:00:00+03:00".parse().unwrap());
    assert!(!school.get("/callbacks", &head).await.text.contains("закрыта до"));
}

#[tokio::test]
async fn newer_holidays_are_offered_taken_and_given_back() {
    let school = School::open().await;
    let cookie = school.administrator().await;
    let text = include_str!("../../../core/calendar/ru-ce.json").replacen("\"estimated\"", "\"announced\"", 1);
    let looked = school.send_file(&cookie, "/calendar/data", text.as_bytes()).await;
    assert!(looked.text.contains("Добавится: 9 марта 2027, Ураза-Байрам"), "{}", looked.text);
    assert!(school.house.store.hours_changes().await.unwrap().data.is_none(), "nothing is taken by looking");
    let content = looked.text.split("name=\"content\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    // The page writes markup signs as entities.
    let content = content.replace("&#43;", "+").replace("&#47;", "/").replace("&#61;", "=");
    let (_, saved) = school.change(&cookie, &[("step", "data"), ("content", &content)]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let lines = school.house.lines();
    let feast: Timestamp = "2027-03-09T12:00:00+03:00".parse().unwrap();
    assert!(!lines.default_calendar().is_open(feast));
    let page = school.get("/calendar/data", &cookie).await.text;
    assert!(page.contains("загружены: Админ") && page.contains("Исчезнет: 9 марта 2027"), "{page}");
    let (_, saved) = school.change(&cookie, &[("step", "built_in"), ("set", "ru-ce")]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    assert!(school.house.lines().default_calendar().is_open(feast));
    assert_eq!(school.house.lines().default_calendar().hours().data(), &HolidayData::built_in());

    let broken = text.replace("2027-03-09", "2027-03-99");
    let refused = school.send_file(&cookie, "/calendar/data", broken.as_bytes()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("Файл не подходит. Файл не прочитан: ошибка в строке"), "{}", refused.text);
    let none = school.send_file(&cookie, "/calendar/data", DataSet::Russia.as_str().as_bytes()).await;
    assert!(none.text.contains("Это не файл календаря"), "{}", none.text);
}

#[tokio::test]
async fn days_off_go_out_as_a_calendar_and_come_in_from_one() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let file = school.get("/calendar.ics", &cookie).await;
    assert_eq!(file.header(CONTENT_TYPE), "text/calendar; charset=utf-8");
    assert!(
        file.text.contains("DTSTART;VALUE=DATE:20261231") && file.text.contains("Рождество Христово"),
        "{}",
        file.text
    );
    let events = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261214\r\nDTEND;VALUE=DATE:20261216\r\n\
                  SUMMARY:Каникулы\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nDTSTART:20261105T090000Z\r\nSUMMARY:Совещание\r\n\
                  END:VEVENT\r\nEND:VCALENDAR\r\n";
    let looked = school.send_file(&cookie, "/calendar/ics", events.as_bytes()).await;
    for words in ["вторник, 15 декабря 2026: было — рабочий день", "Строка 7: «Совещание» не на весь день."]
    {
        assert!(looked.text.contains(words), "{words}\n{}", looked.text);
    }
    let refused = school.send_file(&cookie, "/calendar/ics", b"no calendar at all").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("Это не календарь"), "{}", refused.text);
    let large = school.send_file(&cookie, "/calendar/ics", &vec![b'x'; 1_200_000]).await;
    assert!(large.text.contains("Файл больше 1\u{a0}МБ") || large.text.contains("Файл больше 1 МБ"), "{}", large.text);
}
