//! `perezvon demo`: the main job on one command. A house in a temporary folder, a simulated provider that calls both
//! lines through the real webhook path, and then the officer's list to look at.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;

use super::{CallReport, Exchange, ExchangeSettings, Numbers, Voices, friday_evening, tell};
use crate::app::config::{self, Config, ProviderConfig, Server};
use crate::app::house;
use crate::app::serve::wait_for_the_end;
use crate::core::line::{Line, Lines};
use crate::core::officer::Role;
use crate::core::phone::{PhoneNumber, Telephone};
use crate::providers::twiml::{Settings, Signature};
use crate::store::{ListFilter, ListPeriod, StateFilter};
use crate::time::{Clock, SignedDuration, Timestamp};
use crate::web::password;

/// Friday, 20 November 2026, 19:30 in Moscow: an hour and a half after closing, before a weekend.
const FRIDAY_EVENING: &str = "2026-11-20T19:30:00+03:00";
/// The evening begins this long before the instant of the demo.
const EVENING: SignedDuration = SignedDuration::from_mins(140);
const LOGIN: &str = "demo";

/// Runs the evening, prints what happened and where to look, and serves until it is asked to end.
pub async fn run(at: Option<Timestamp>, out: &mut dyn Write) -> anyhow::Result<()> {
    let at = at.unwrap_or_else(|| FRIDAY_EVENING.parse().expect("the constant above is an instant"));
    let folder = tempfile::Builder::new().prefix("perezvon-demo-").tempdir().context("временная папка не создаётся")?;
    let listener = match TcpListener::bind("127.0.0.1:8080").await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind("127.0.0.1:0").await?,
    };
    let address = listener.local_addr()?;
    let clock = Clock::standing_at(at.checked_sub(EVENING)?);
    let token = password::generate();
    let voices = Voices::installed();
    writeln!(out, "Учебный вечер: программа звонит на обе линии, как звонил бы оператор связи.")?;
    if !voices.is_human() {
        writeln!(
            out,
            "Голоса искусственные. С пакетом asterisk-core-sounds-ru-wav сообщения прозвучат человеческой речью."
        )?;
    }
    let exchange = Exchange::start(ExchangeSettings {
        account_sid: "ACdemo00000000000000000000000000".to_owned(),
        auth_token: token.clone(),
        webhook_base: format!("http://{address}/webhooks/demo"),
        public_url: format!("http://{address}"),
        clock: clock.clone(),
        advances_clock: true,
        voices,
    })
    .await?;
    let config = config_of_the_demo(folder.path(), address, &exchange, token.clone())?;
    let built = house::build(&config, clock.clone(), true).await?;
    let secret = password::generate();
    built.store.add_officer(LOGIN, "Мадина И.", Role::Admin, &password::hash(&secret), clock.now()).await?;
    let running = house::run(built, listener)?;

    let mut reports = Vec::new();
    for plan in friday_evening(&Numbers::default(), at) {
        reports.push(exchange.call(plan).await);
    }
    clock.set(at);
    clock.run_on();
    running.worker.run_due().await?;
    let waiting = waiting(&running.store).await?;
    account(out, &config, &reports, waiting)?;
    writeln!(out, "\nСписок для перезвона:  http://{address}/callbacks\nЛогин: {LOGIN}   Пароль: {secret}")?;
    writeln!(out, "Вебхуки: http://{address}/webhooks/demo/voice   ключ подписи: {token}")?;
    writeln!(
        out,
        "Часы идут с {}. Закончить: Ctrl+C, всё учебное удалится.",
        at.to_zoned(config.default_calendar.time_zone().clone()).strftime("%d.%m.%Y, %H:%M")
    )?;
    out.flush()?;

    wait_for_the_end().await?;
    running.stop().await;
    exchange.stop().await;
    Ok(())
}

/// The school's own configuration, with a provider and phones that exist only here.
fn config_of_the_demo(
    folder: &std::path::Path,
    address: std::net::SocketAddr,
    exchange: &Exchange,
    token: String,
) -> anyhow::Result<Config> {
    let mut config = config::parse("", None, std::iter::empty())?;
    let ring = PhoneNumber::parse("+79280000055")?;
    let numbers = Numbers::default();
    let lines = config
        .lines
        .iter()
        .map(|line| Line {
            ring: vec![Telephone::Number(ring.clone())],
            aliases: match line.id.as_str() {
                "parents" => vec![numbers.technical.clone()],
                _ => Vec::new(),
            },
            ..line.clone()
        })
        .collect();
    config.lines = Lines::new(lines, config.default_calendar.clone());
    config.server = Server { listen: address, public_url: format!("http://{address}"), ..config.server };
    config.storage.database = format!("sqlite:{}", folder.join("perezvon.db").display());
    config.storage.recordings = folder.join("recordings");
    config.providers = vec![ProviderConfig::Twiml {
        settings: Settings {
            name: Arc::from("demo"),
            signature: Signature::Twilio,
            public_url: config.server.public_url.clone(),
            account_sid: "ACdemo00000000000000000000000000".to_owned(),
            auth_tokens: vec![token],
            api_base: exchange.api_base().to_owned(),
            recording_hosts: vec!["127.0.0.1".to_owned()],
            voice: "Polly.Tatyana".to_owned(),
            language: "ru-RU".to_owned(),
        },
        api_token: None,
    }];
    Ok(config)
}

/// Callbacks and stored messages.
async fn waiting(store: &crate::store::Store) -> anyhow::Result<(usize, usize)> {
    let filter =
        ListFilter { period: ListPeriod::All, line: None, state: StateFilter::Unclosed, after: None, limit: 500 };
    let page = store.callbacks(&filter).await?;
    let stored = page.items.iter().flat_map(|item| &item.voicemails).filter(|voicemail| voicemail.sound.is_some());
    Ok((page.items.len(), stored.count()))
}

fn account(
    out: &mut dyn Write,
    config: &Config,
    reports: &[CallReport],
    (callbacks, messages): (usize, usize),
) -> anyhow::Result<()> {
    writeln!(out, "\n{}", tell(reports, config.default_calendar.time_zone()).trim_end())?;
    let warnings: usize = reports.iter().map(|report| report.warnings.len()).sum();
    writeln!(
        out,
        "\nЗвонков: {}. В списке для перезвона: {callbacks}. Сообщений сохранено: {messages}.",
        reports.len()
    )?;
    if warnings > 0 {
        writeln!(out, "Замечаний оператора связи: {warnings}.")?;
        for warning in reports.iter().flat_map(|report| &report.warnings) {
            writeln!(out, "  {warning}")?;
        }
    }
    Ok(())
}
