//! An officer's browser: signs in with a form, keeps the cookie, asks for pages.

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use perezvon::core::officer::Role;
use perezvon::web::password;
use tower::ServiceExt;

use super::App;

/// Of everybody these stories let in.
const PASSWORD: &str = "довольно длинный пароль";

/// Who has signed in.
pub struct Browser<'a> {
    app: &'a App,
    cookie: String,
}

/// A page as it came.
pub struct Page {
    pub status: u16,
    /// Where a redirect leads.
    pub location: String,
    pub content_type: String,
    pub body: String,
}

impl App {
    /// An officer of this name and role, at a browser.
    pub async fn browser(&self, name: &str, role: Role) -> Browser<'_> {
        let login = format!("login-{}", self.store().officers().await.unwrap().len());
        assert!(self.store().add_officer(&login, name, role, &password::hash(PASSWORD), self.now()).await.unwrap());
        let stranger = Browser { app: self, cookie: String::new() };
        let form = [("login", login.as_str()), ("password", PASSWORD)];
        let (page, cookie) = stranger.send("POST", "/login", &form).await;
        assert_eq!((page.status, page.location.as_str()), (303, "/callbacks"), "{}", page.body);
        Browser { cookie, ..stranger }
    }
}

impl Browser<'_> {
    pub async fn get(&self, path: &str) -> Page {
        self.send("GET", path, &[]).await.0
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Page {
        self.send("POST", path, form).await.0
    }

    /// The page, and the cookie it sets.
    async fn send(&self, method: &str, path: &str, form: &[(&str, &str)]) -> (Page, String) {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header(header::COOKIE, &self.cookie)
            .body(Body::from(body))
            .unwrap();
        let response = self.app.router().oneshot(request).await.unwrap();
        let told = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        let cookie = told(header::SET_COOKIE).split(';').next().unwrap_or("").to_owned();
        let (status, location, content_type) =
            (response.status().as_u16(), told(header::LOCATION), told(header::CONTENT_TYPE));
        let body = to_bytes(response.into_body(), 1 << 24).await.unwrap();
        (Page { status, location, content_type, body: String::from_utf8_lossy(&body).into_owned() }, cookie)
    }
}
