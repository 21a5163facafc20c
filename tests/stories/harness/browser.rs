//! A person at a page of the house: keeps the cookies, follows nothing by itself.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, LOCATION, REFERER, SET_COOKIE};
use axum::http::request::Builder;
use perezvon::core::officer::Role;
use perezvon::web::password;

use super::App;

pub struct Browser<'a> {
    app: &'a App,
    /// The session's, `name=…`, or nothing.
    pub cookie: String,
    /// By which it is known to have been signed in from, or nothing.
    pub device: String,
    /// Where it connects from; `None`: the service is not told.
    pub address: Option<IpAddr>,
}

#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub location: String,
    pub content_type: String,
    /// The session's.
    pub set_cookie: String,
    /// That of the known browser.
    pub set_device: String,
    pub body: String,
}

impl App {
    /// A new officer of this name and role, at a browser.
    pub async fn browser(&self, name: &str, role: Role) -> Browser<'_> {
        const PASSWORD: &str = "довольно длинный пароль";
        let login = format!("login-{}", self.store().officers().await.unwrap().len());
        assert!(self.store().add_officer(&login, name, role, &password::hash(PASSWORD), self.now()).await.unwrap());
        Browser::signed_in(self, &login, PASSWORD).await
    }
}

impl<'a> Browser<'a> {
    pub fn new(app: &'a App) -> Self {
        Self { app, cookie: String::new(), device: String::new(), address: None }
    }

    pub fn at(app: &'a App, address: impl Into<IpAddr>) -> Self {
        Self { address: Some(address.into()), ..Self::new(app) }
    }

    /// Somebody who comes in with login and password alone.
    pub async fn signed_in(app: &'a App, login: &str, password: &str) -> Self {
        let mut browser = Self::new(app);
        let page = browser.sign_in(login, password).await;
        assert_eq!(page.status, 303, "{page:?}");
        browser
    }

    pub async fn sign_in(&mut self, login: &str, password: &str) -> Page {
        self.post("/login", &[("login", login), ("password", password)]).await
    }

    pub async fn get(&mut self, address: &str) -> Page {
        self.send(Request::get(address), String::new()).await
    }

    /// Sends a form of our own page.
    pub async fn post(&mut self, address: &str, fields: &[(&str, &str)]) -> Page {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(address)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(CONTENT_LENGTH, form.len())
            .header(REFERER, "https://calls.example.org/callbacks?line=parents")
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-mode", "navigate");
        self.send(request, form).await
    }

    pub async fn send(&mut self, request: Builder, body: String) -> Page {
        let mut request = request.header(COOKIE, format!("{}; {}", self.cookie, self.device));
        if let Some(address) = self.address {
            request = request.extension(ConnectInfo(SocketAddr::new(address, 40000)));
        }
        let request = request.body(Body::from(body)).expect("a good request");
        let (parts, body) = self.app.whole(request).await;
        let cookie = |name: &str| {
            let all = parts.headers.get_all(SET_COOKIE).into_iter().map(|cookie| cookie.to_str().expect("plain"));
            all.filter(|cookie| cookie.contains(name)).collect::<Vec<_>>().join("\n")
        };
        let header = |name| parts.headers.get(name).map_or("", |value| value.to_str().expect("plain")).to_owned();
        let page = Page {
            status: parts.status.as_u16(),
            location: header(LOCATION),
            content_type: header(CONTENT_TYPE),
            set_cookie: cookie("perezvon_session="),
            set_device: cookie("perezvon_device="),
            body,
        };
        if let Some(cookie) = page.set_cookie.split(';').next().filter(|cookie| !cookie.is_empty()) {
            let gone = page.set_cookie.contains("Max-Age=0");
            self.cookie = if gone { String::new() } else { cookie.to_owned() };
        }
        if let Some(device) = page.set_device.split(';').next().filter(|device| !device.is_empty()) {
            self.device = device.to_owned();
        }
        page
    }

    /// Whether the desk is shown.
    pub async fn is_in(&mut self) -> bool {
        self.get("/callbacks").await.status == 200
    }
}

/// Names and values of the hidden fields of a page, as a browser would send them.
pub fn hidden_fields(page: &Page) -> Vec<(String, String)> {
    let plain = |text: &str| {
        let text = text.replace("&#34;", "\"").replace("&#39;", "'").replace("&#60;", "<").replace("&#62;", ">");
        text.replace("&#38;", "&")
    };
    page.body
        .split("<input type=\"hidden\" name=\"")
        .skip(1)
        .map(|field| {
            let (name, rest) = field.split_once("\" value=\"").expect("a name");
            (plain(name), plain(rest.split_once("\">").expect("a value").0))
        })
        .collect()
}
