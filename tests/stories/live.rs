//! Open pages hear that the list has changed: here, from another house on the same database, and that the program ends.

use perezvon::app::{config, house};
use perezvon::core::callback::{Action, Notes};
use perezvon::core::officer::{Actor, Role};
use perezvon::time::Clock;
use perezvon::web::password;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{App, Engine, Form, monday, stories};

const PASSWORD: &str = "правильный пароль";

/// How often the list has changed so far.
fn changes(app: &App) -> u64 {
    app.store().listen().borrow().list
}

stories! {
    async fn a_caller_who_goes_on_the_list_is_told(app) {
        let before = changes(app);
        app.post("status", &Form::call("CA1").from("+79281234567").status("ringing")).await;
        assert_eq!(changes(app), before, "a call that rings changes no list");
        app.post("status", &Form::call("CA1").from("+79281234567").status("completed")).await;
        assert_eq!(changes(app), before + 1);
        app.leave_the_jobs().await;
    }

    async fn a_message_whose_sound_has_come_is_told(app) {
        app.message_from("CA1", "+79281234567").await;
        let before = changes(app);
        let id = app.voicemails().await[0].id;
        app.store().voicemail_failed(id, "404").await.unwrap();
        assert_eq!(changes(app), before + 1);
        app.leave_the_jobs().await;
    }

    /// One file of SQLite has one house.
    async fn what_another_house_does_is_heard_here(app) {
        app.post("status", &Form::call("CA1").from("+79281234567").status("completed")).await;
        app.leave_the_jobs().await;
        if app.engine == Engine::Sqlite {
            return;
        }
        let id = app.callback().await.id;
        let (second, _worker) = app.second_house().await;
        let before = changes(app);
        let madina = Actor::officer(1, "Мадина И.");
        second.act(id, None, Action::Claim, Notes::default(), &madina, &app.lines(), app.now()).await.unwrap();
        assert_eq!(changes(app), before, "not by itself");
        app.store().look_at_other_houses().await.unwrap();
        assert_eq!(changes(app), before + 1);
        app.store().look_at_other_houses().await.unwrap();
        assert_eq!(changes(app), before + 1, "once");
        second.close().await;
    }
}

/// An answer's head over a connection that is closed after it.
async fn ask(address: std::net::SocketAddr, request: String) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A stream that nobody ends would keep the program from its end until it is cut off.
#[tokio::test]
async fn an_open_page_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[server]\npublic_url = \"http://127.0.0.1\"\n[storage]\ndatabase = \"sqlite:{0}/perezvon.db\"\nrecordings = \"{0}/recordings\"",
        folder.path().display()
    );
    let config = config::parse(&text, None, []).unwrap();
    let clock = Clock::standing_at(monday("09:12"));
    let built = house::build(&config, clock.clone(), false).await.unwrap();
    let hash = password::hash(PASSWORD);
    assert!(built.store.add_officer("madina", "Мадина И.", Role::Officer, &hash, clock.now()).await.unwrap());
    let running = house::run(built, TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();

    let form: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("login", "madina")
        .append_pair("password", PASSWORD)
        .finish();
    let signed_in = ask(
        running.address,
        format!(
            "POST /login HTTP/1.1\r\nhost: a\r\nconnection: close\r\nsec-fetch-site: same-origin\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        ),
    )
    .await;
    let mut cookies = signed_in.split("set-cookie: ").skip(1);
    let cookie =
        cookies.find(|cookie| cookie.starts_with("perezvon_session=")).unwrap_or_else(|| panic!("{signed_in}"));
    let cookie = cookie.split(';').next().unwrap();

    let mut page = TcpStream::connect(running.address).await.unwrap();
    page.write_all(format!("GET /callbacks/events HTTP/1.1\r\nhost: a\r\ncookie: {cookie}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("event: list") {
        assert_ne!(page.read_buf(&mut heard).await.unwrap(), 0, "{}", String::from_utf8_lossy(&heard));
    }
    running.stop().await;
    page.read_to_end(&mut heard).await.unwrap();
    assert!(heard.ends_with(b"\r\n0\r\n\r\n"), "the page was cut off: {}", String::from_utf8_lossy(&heard));
}
