//! Texts that would act where they are shown, in every field of every page: none of them is more than a text.

mod fields;
mod stored;
mod surfaces;

use perezvon::core::officer::Role;

use self::surfaces::{OVERRIDE, Texts};
use crate::entrances::templates;
use crate::harness::{Page, stories_on_sqlite};

/// What breaks out of markup, attributes, scripts, XML and dialplans.
const ATTACK: &str = "\"'><zq zq=1><img src=x onerror=x()>]]>&xxe;${SHELL(id)};,{{1+1}}\\";
/// Fields whose text is tried by itself on every page; the others together.
const TYPED: [&str; 14] = [
    "name",
    "note",
    "reason",
    "reference",
    "summary",
    "email",
    "number",
    "search",
    "login",
    "telephone",
    "line",
    "from",
    "to",
    "day",
];
/// Forms after which nobody is signed in any more.
const LEAVING: [&str; 3] = ["/logout", "/me/logout", "/me/password"];

/// The documents that were read, and what is wrong with them.
#[derive(Default)]
struct Documents {
    texts: Vec<String>,
    wrong: Vec<String>,
}

impl Documents {
    fn add(&mut self, name: &str, texts: Texts) {
        match texts {
            Ok(texts) => self.texts.extend(texts.into_iter().filter(|text| text.contains("zq"))),
            Err(what) => self.wrong.push(format!("{name}: {what}")),
        }
    }

    fn check(&self) {
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
    }

    fn page(&mut self, name: &str, page: &Page) {
        assert_ne!(page.status, 500, "{name}: {page:?}");
        self.add(name, surfaces::read(&page.content_type, page.body.as_bytes()));
    }
}

stories_on_sqlite! {
    /// Threat: a link that somebody else has made, or a form that is shown again with what was typed, acts on its page.
    async fn no_page_acts_on_what_its_address_or_form_says(app) {
        app.message_from("CA1", "+79281230700").await;
        app.leave_the_jobs().await;
        let mut admin = app.browser("Админ", Role::Admin).await;
        let mut documents = Documents::default();
        let call = app.call("CA1").await;
        let attack = format!("javascript:zq<script>x(7)</script>{ATTACK}{OVERRIDE}");
        let all: Vec<(String, String)> =
            fields::names_of_forms().into_iter().map(|name| (name, attack.clone())).collect();
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let one = TYPED.map(|name| vec![("version", "1"), (name, attack.as_str())]);
        let forms: Vec<&[(&str, &str)]> =
            std::iter::once(all.as_slice()).chain(one.iter().map(Vec::as_slice)).collect();
        let filled = |template: &str| {
            let id = if template.contains("callback") { call.callback_id.unwrap() } else { call.id };
            let words = [("{id}", id.to_string()), ("{voicemail}", "1".to_owned()), ("{verb}", "decline".to_owned())];
            let address = words.iter().fold(template.to_owned(), |address, (name, value)| address.replace(name, value));
            address.replace(['{', '}', '*'], "")
        };
        for template in templates("GET").filter(|template| *template != "/callbacks/events") {
            for form in &forms {
                let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(form.iter()).finish();
                let page = admin.get(&format!("{}?{query}", filled(template))).await;
                if !page.content_type.contains("spreadsheet") {
                    documents.page(template, &page);
                }
            }
        }
        for template in templates("POST").filter(|it| !it.starts_with("/api") && !LEAVING.contains(it)) {
            for form in &forms {
                let page = admin.post(&filled(template), form).await;
                documents.page(template, &page);
                assert!(!page.location.starts_with("javascript:") && !page.location.starts_with("//"), "{page:?}");
            }
        }
        app.leave_the_jobs().await;
        documents.check();
        assert!(documents.texts.len() > 100, "{}", documents.texts.len());
    }
}
