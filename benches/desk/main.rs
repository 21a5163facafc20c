//! What a long list costs the officer's main page: the server's time for `/callbacks` with 500 open entries as a ratio to
//! that with 10, both houses asked in turn within one run.
//!
//! ```text
//! cargo bench --bench desk -- [--rounds 60]
//! ```
//!
//! The ratio can be compared between machines and days; the milliseconds are of this machine and this day. UX §0 promises
//! less than 50 ms with 500 entries.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use perezvon::app::{config, house};
use perezvon::core::callback::{Channel, Notes};
use perezvon::core::line::LineId;
use perezvon::core::officer::{Actor, Role};
use perezvon::core::phone::PhoneNumber;
use perezvon::store::NewCallback;
use perezvon::time::{Clock, SignedDuration, Timestamp};
use perezvon::web;
use perezvon::web::password;

const PASSWORD: &str = "a password of this bench";
/// Open entries of the long list and of the short one.
const ENTRIES: [usize; 2] = [500, 10];

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let rounds = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => 60,
        ["--rounds", rounds] => rounds.parse().context("--rounds takes a number")?,
        _ => anyhow::bail!("usage: cargo bench --bench desk -- [--rounds N]"),
    };
    ensure!(rounds > 0, "at least one round");
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(rounds))
}

async fn measure(rounds: usize) -> anyhow::Result<()> {
    let mut desks = Vec::new();
    for entries in ENTRIES {
        desks.push(Desk::with(entries).await?);
    }
    for desk in &desks {
        desk.ask().await?;
    }
    let mut times = vec![Vec::with_capacity(rounds); desks.len()];
    for _ in 0..rounds {
        for (desk, times) in desks.iter().zip(&mut times) {
            times.push(desk.ask().await?);
        }
    }
    let mut ratios: Vec<f64> =
        times[0].iter().zip(&times[1]).map(|(long, short)| long.as_secs_f64() / short.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    println!("/callbacks, {rounds} rounds, {} open entries to {}", ENTRIES[0], ENTRIES[1]);
    println!(
        "ratio of the server's time: median {:.2} ({:.2} to {:.2})",
        ratios[rounds / 2],
        ratios[0],
        ratios[rounds - 1]
    );
    for ((entries, times), desk) in ENTRIES.iter().zip(&mut times).zip(&desks) {
        times.sort();
        let ms = |at: usize| times[at].as_secs_f64() * 1000.0;
        println!(
            "{entries} entries: median {:.1} ms, slowest {:.1} ms, {} kB on the first page",
            ms(rounds / 2),
            ms(rounds - 1),
            desk.size / 1000
        );
    }
    Ok(())
}

/// A house with so many open entries, and a session of its officer.
struct Desk {
    router: Router,
    cookie: String,
    /// Bytes of the page.
    size: usize,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn with(entries: usize) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("perezvon-desk-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let now: Timestamp = "2026-11-23T09:12:00+03:00".parse()?;
        let text = format!(
            "[server]\npublic_url = \"https://calls.example.org\"\n[storage]\ndatabase = \"sqlite:{0}/perezvon.db\"\nrecordings = \
             \"{0}/recordings\"\n[[lines]]\nid = \"parents\"\nnumber = \"+79288328088\"\n[[lines]]\nid = \"staff\"\nnumber = \"+79288036355\"\n",
            folder.path().display()
        );
        let config = config::parse(&text, None, []).map_err(|mistakes| anyhow::anyhow!("{mistakes:?}"))?;
        let clock = Clock::standing_at(now - SignedDuration::from_hours(14));
        let built = house::build(&config, clock.clone(), false).await?;
        let (store, lines) = (&built.store, config.lines.clone());
        for n in 0..entries {
            let new = NewCallback {
                line: LineId::new(if n % 2 == 0 { "parents" } else { "staff" }),
                callback_number: PhoneNumber::parse(&format!("+7928{n:07}")).ok(),
                channel: Channel::Telephone,
                notes: Notes {
                    summary: Some("Не отображаются оценки за вторую четверть".to_owned()),
                    ..Notes::default()
                },
            };
            store.register_by_hand(new, &Actor::system(), &lines, clock.now()).await?;
        }
        store.add_officer("bench", "Мадина И.", Role::Officer, &password::hash(PASSWORD), now).await?;
        clock.set(now);
        let mut desk = Self { router: web::router(built.house), cookie: String::new(), size: 0, _folder: folder };
        desk.sign_in().await?;
        desk.size = desk.page().await?;
        Ok(desk)
    }

    async fn sign_in(&mut self) -> anyhow::Result<()> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("login", "bench")
            .append_pair("password", PASSWORD)
            .finish();
        let request = Request::post("/login")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 40000))))
            .body(Body::from(form))?;
        let answer = tower::ServiceExt::oneshot(self.router.clone(), request).await?;
        ensure!(answer.status() == StatusCode::SEE_OTHER, "signing in was answered with {}", answer.status());
        let mut cookies = answer.headers().get_all(header::SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
        let cookie = cookies.find(|cookie| cookie.contains("perezvon_session=")).context("there is no session")?;
        self.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(())
    }

    /// The page as a browser gets it; the answer is its size in bytes.
    async fn page(&self) -> anyhow::Result<usize> {
        let request = Request::get("/callbacks").header(header::COOKIE, &self.cookie).body(Body::empty())?;
        let answer = tower::ServiceExt::oneshot(self.router.clone(), request).await?;
        ensure!(answer.status() == StatusCode::OK, "the page was answered with {}", answer.status());
        Ok(to_bytes(answer.into_body(), usize::MAX).await?.len())
    }

    async fn ask(&self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.page().await?;
        Ok(begun.elapsed())
    }
}
