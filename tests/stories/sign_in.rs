//! The entrance under attack: guesses lock nobody out, and no flood of sign-ins takes the service's memory.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use perezvon::core::calendar::{Calendar, Hours};
use perezvon::core::line::Lines;
use perezvon::core::officer::Role;
use perezvon::store::Store;
use perezvon::time::{SignedDuration, Timestamp};
use perezvon::web::password;

use crate::harness::{App, Browser, Program, stories};

const PASSWORD: &str = "кот ест сыр по утрам";
/// The school's office, an address that the officer has never come from, and the guessers'.
const OFFICE: [u8; 4] = [192, 0, 2, 1];
const ELSEWHERE: [u8; 4] = [192, 0, 2, 2];

async fn hires(app: &App, login: &str) {
    let hash = password::hash(PASSWORD);
    assert!(app.store().add_officer(login, &format!("{login} И."), Role::Officer, &hash, app.now()).await.unwrap());
}

/// Wrong passwords until no more may be tried; how many there were.
async fn guesses(browser: &mut Browser<'_>, login: &str) -> usize {
    for tried in 0.. {
        match browser.sign_in(login, "x").await.status {
            422 => {}
            429 => return tried,
            status => panic!("{status}"),
        }
    }
    unreachable!()
}

stories! {
    /// Threat: an officer is kept out by whoever types wrong passwords for his login, from anywhere, at 8:55.
    async fn nobody_without_the_password_keeps_an_officer_out(app) {
        hires(app, "madina").await;
        let mut own = Browser::at(app, OFFICE);
        assert_eq!(own.sign_in("madina", PASSWORD).await.status, 303);
        own.post("/logout", &[]).await;
        let mut tried = Vec::new();
        for last in 0..7 {
            tried.push(guesses(&mut Browser::at(app, [198, 51, 100, last]), "madina").await);
        }
        assert_eq!(tried, [10, 10, 10, 10, 10, 3, 3], "a login that is guessed at has fewer tries from each address");
        guesses(&mut Browser::at(app, OFFICE), "madina").await;
        assert_eq!(own.sign_in("madina", PASSWORD).await.status, 303, "his own browser, from where a guesser sits too");
        assert_eq!(Browser::at(app, ELSEWHERE).sign_in("madina", PASSWORD).await.status, 303, "a new address");
        let refused = Browser::at(app, [198, 51, 100, 0]).sign_in("madina", PASSWORD).await;
        assert_eq!(refused.status, 429);
        assert!(refused.body.contains("Подождите 15\u{a0}минут"), "{}", refused.body);
    }

    /// Threat: ten wrong passwords from a school's one address lock out everybody behind it.
    async fn ten_wrong_passwords_lock_nobody_else_behind_the_address(app) {
        for login in ["madina", "aishat"] {
            hires(app, login).await;
        }
        assert_eq!(guesses(&mut Browser::at(app, OFFICE), "madina").await, 10);
        assert_eq!(guesses(&mut Browser::at(app, OFFICE), "nobody").await, 10);
        assert_eq!(Browser::at(app, OFFICE).sign_in("aishat", PASSWORD).await.status, 303);
    }

    /// Threat: a made-up or borrowed cookie gives a guesser endless tries.
    async fn cookie_of_a_known_browser_is_signed_and_one_officers(app) {
        for login in ["madina", "aishat"] {
            hires(app, login).await;
        }
        let mut own = Browser::at(app, OFFICE);
        let cookie = own.sign_in("madina", PASSWORD).await.set_device;
        for attribute in ["__Host-perezvon_device=", "Path=/", "Max-Age=15552000", "HttpOnly", "SameSite=Strict", "Secure"] {
            assert!(cookie.contains(attribute), "{attribute}: {cookie}");
        }
        assert!(!cookie.contains("madina"));
        let borrowed = own.device.clone();
        let (mut at_other_login, mut made_up) = (Browser::at(app, ELSEWHERE), Browser::at(app, ELSEWHERE));
        at_other_login.device = borrowed.clone();
        assert_eq!(guesses(&mut at_other_login, "aishat").await, 10);
        let last = borrowed.chars().last().unwrap();
        made_up.device = format!("{}{}", &borrowed[..borrowed.len() - 1], if last == 'A' { 'Q' } else { 'A' });
        assert_eq!(guesses(&mut made_up, "madina").await, 10);
        for device in [&made_up.device, ""] {
            let mut stranger = Browser::at(app, ELSEWHERE);
            stranger.device = device.to_owned();
            assert_eq!(stranger.sign_in("madina", PASSWORD).await.status, 429);
        }
        let mut thief = Browser::at(app, [198, 51, 100, 1]);
        thief.device = borrowed;
        assert_eq!(guesses(&mut thief, "madina").await, 10, "a stolen one has ten tries of its own");

        // Both officers of one computer are known to it, and a new start of the service forgets nobody.
        assert_eq!(Browser::at(app, OFFICE).sign_in("madina", PASSWORD).await.status, 303);
        app.clock.advance(SignedDuration::from_mins(15));
        own.sign_in("aishat", PASSWORD).await;
        app.restart(|_| {}).await;
        for login in ["madina", "aishat"] {
            guesses(&mut Browser::at(app, OFFICE), login).await;
            assert_eq!(own.sign_in(login, PASSWORD).await.status, 303, "{login}");
        }
    }

    /// Threat: 400 sign-ins at once from one place, and nobody else gets in.
    async fn flood_from_one_address_does_not_keep_others_out(app) {
        hires(app, "madina").await;
        let flood = (0..400).map(|number| async move {
            Browser::at(app, ELSEWHERE).sign_in(&format!("guess {number}"), "x").await.status
        });
        let mut own = Browser::at(app, OFFICE);
        let (answers, own) = tokio::join!(futures_util::future::join_all(flood), own.sign_in("madina", PASSWORD));
        assert_eq!(own.status, 303);
        let count = |status| answers.iter().filter(|answer| **answer == status).count();
        assert!(count(429) >= 300, "one address has a hundred tries: {answers:?}");
        assert_eq!(count(422) + count(429) + count(503), 400, "{answers:?}");
    }
}

/// The real program on an empty database, with one officer.
async fn program() -> (tempfile::TempDir, Program) {
    let folder = tempfile::Builder::new().prefix("perezvon-sign-in-").tempdir().unwrap();
    let database = format!("sqlite:{}/perezvon.db", folder.path().display());
    let store = Store::open(&database, Lines::new(Vec::new(), Calendar::new(Hours::default()))).await.unwrap();
    assert!(
        store
            .add_officer("madina", "Мадина И.", Role::Officer, &password::hash(PASSWORD), Timestamp::UNIX_EPOCH)
            .await
            .unwrap()
    );
    store.close().await;
    let config = folder.path().join("perezvon.toml");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[storage]\ndatabase = \"{database}\"\nrecordings = \"{}/recordings\"\n",
        folder.path().display()
    );
    std::fs::write(&config, text).unwrap();
    let program = tokio::task::block_in_place(|| Program::start(&config));
    (folder, program)
}

/// One line of the program's `/proc/…/status`: KiB, or a number.
fn status(program: &Program, line: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", program.child.id())).unwrap();
    let rest = text.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    rest.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

/// Signs in, again and again while too many others wait.
async fn signs_in(program: &Program) {
    let client = perezvon::jobs::client_builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let form = [("login", "madina"), ("password", PASSWORD)];
    loop {
        let answer = client.post(format!("http://{}/login", program.address)).form(&form).send().await.unwrap();
        if answer.status() != 503 {
            assert_eq!(answer.status(), 303, "{}", answer.text().await.unwrap());
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const MIB: u64 = 1024;
/// What one hash takes while it is made.
const HASH: u64 = 19 * MIB;

/// Threat: a working day of sign-ins takes the memory of a small server, and never gives it back.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_sign_ins_leave_little_memory() {
    let (_folder, program) = program().await;
    let page = reqwest_get(&program, "/login").await;
    assert_eq!(page, 200);
    let idle = status(&program, "VmRSS");
    for _ in 0..50 {
        tokio::join!(signs_in(&program), signs_in(&program), signs_in(&program), signs_in(&program));
    }
    let (after, peak) = (status(&program, "VmRSS"), status(&program, "VmHWM"));
    println!("idle {idle} KiB, after 200 sign-ins {after} KiB, at most {peak} KiB");
    assert!(after <= idle + 12 * MIB, "idle {idle} KiB, after 200 sign-ins {after} KiB");
    assert!(peak <= idle + 2 * HASH + 12 * MIB, "idle {idle} KiB, at most {peak} KiB: two hashes at once");
}

/// Threat: 150 sign-ins that hang up at once took 2.6 GB, for the hashes went on while the turns were free again.
#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_that_hang_up_take_no_memory() {
    let (_folder, program) = program().await;
    signs_in(&program).await;
    let idle = status(&program, "VmRSS");
    for number in 0..150 {
        let body = format!("login=guess{number}&password=x");
        let mut client = TcpStream::connect(program.address).unwrap();
        write!(
            client,
            "POST /login HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        tokio::task::yield_now().await;
    }
    // Comes after them, or in between: either way they are over or gone when it is in.
    signs_in(&program).await;
    let (peak, threads) = (status(&program, "VmHWM"), status(&program, "Threads"));
    println!("idle {idle} KiB, at most {peak} KiB, {threads} threads");
    assert!(peak <= idle + 2 * HASH + 12 * MIB, "idle {idle} KiB, at most {peak} KiB");
}

async fn reqwest_get(program: &Program, path: &str) -> u16 {
    let client = perezvon::jobs::client_builder().build().unwrap();
    client.get(format!("http://{}{path}", program.address)).send().await.unwrap().status().as_u16()
}
