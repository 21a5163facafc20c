//! How one go of a look ended: in its row, in alarms, and in words for the administrator.

use reqwest::{StatusCode, Url};
use tracing::{info, warn};

use super::pages::{MAX_LIST_PAGES, Run, Stop};
use super::{LookEnd, WIDE};
use crate::jobs::http::HttpError;
use crate::providers::{ForbiddenUrl, List};
use crate::store::{Look, StoreError};
use crate::time::{SignedDuration, Timestamp, elapsed_ms};

/// Looks that have failed for this long raise an alarm.
const FAILING_ALARM_MS: i64 = 2 * 3_600_000;
/// Bounds of a pause that a provider asks for.
const MIN_PAUSE: SignedDuration = SignedDuration::from_secs(1);
const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(1);

impl Run<'_> {
    /// Writes down how this go ended, and raises or clears the alarms about it.
    pub(super) async fn end(&self, since: Option<Timestamp>, ended: Result<bool, Stop>) -> Result<LookEnd, StoreError> {
        let Self { reconciler, provider, row, lease, look, .. } = self;
        let store = &reconciler.store;
        let now = reconciler.clock.now();
        let end = match ended {
            Ok(true) => {
                let leaves_no_gap = since.is_none() || look.from <= row.covered_until.unwrap_or(row.service_since);
                let is_wide = look.from <= look.to.checked_sub(WIDE).unwrap_or(look.to).max(row.service_since);
                store.finish_look(row.id, *lease, leaves_no_gap.then_some(look.to), is_wide, now).await?;
                store.clear_alarm("reconcile_failing", provider, now).await?;
                LookEnd::Finished
            }
            Ok(false) => {
                store.pause_look(row.id, *lease).await?;
                LookEnd::Paused
            }
            Err(Stop::LostTurn) => LookEnd::Busy,
            Err(Stop::Store(failed)) => {
                // Best effort: the turn ends by itself after some minutes.
                let _ = store.break_off_look(row.id, *lease).await;
                return Err(failed);
            }
            Err(stop) => self.fail(stop, now).await?,
        };
        if look.restored > 0 && end != LookEnd::Busy {
            metrics::counter!("perezvon_calls_restored_total").increment(self.restored.len() as u64);
            info!(provider = %provider, restored = look.restored, "The provider knew of calls that nobody had reported");
            self.raise_restored(now).await?;
        }
        Ok(end)
    }

    async fn fail(&self, stop: Stop, now: Timestamp) -> Result<LookEnd, StoreError> {
        let Self { reconciler, provider, row, lease, look, .. } = self;
        let is_at_address = look.next.as_ref().is_some_and(|place| place.address.is_some());
        let is_expired = match &stop {
            Stop::Http(HttpError::Status { status, .. }) => {
                status.is_client_error() && *status != StatusCode::TOO_MANY_REQUESTS
            }
            Stop::Http(_) => false,
            _ => true,
        };
        let pause = match &stop {
            Stop::Http(error) => {
                let pause = error.pause_asked_for(reconciler.clock.outside());
                pause.map(|pause| pause.clamp(MIN_PAUSE, MAX_PAUSE))
            }
            _ => None,
        };
        let error = in_words(&stop);
        warn!(provider = %provider, error, "The provider's lists could not be compared with ours: {error}");
        let store = &reconciler.store;
        store.fail_look(row.id, *lease, &error, is_at_address && is_expired, now).await?;
        let failing_since = row.failing_since.unwrap_or(now);
        if elapsed_ms(failing_since, now) >= FAILING_ALARM_MS {
            let text = format!(
                "Сверка с оператором «{provider}» не удаётся с {}: {error}. Звонки, о которых он не сообщил, служба пока не \
                 видит. Проверьте ключи и связь; служба пробует снова сама.",
                self.when(failing_since)
            );
            store.raise_alarm("reconcile_failing", provider, &text, now).await?;
        }
        Ok(LookEnd::Failed { error, pause })
    }

    /// Once for each look, whatever it took.
    async fn raise_restored(&self, now: Timestamp) -> Result<(), StoreError> {
        let Look { from, to, restored, .. } = &self.look;
        let text = format!(
            "Оператор «{}» знал о звонках, о которых не сообщил службе: восстановлено {restored} (с {} по {}). Они в журнале \
             и в списке с пометкой «восстановлен». Проверьте, доходят ли до службы его запросы.",
            self.provider,
            self.when(*from),
            self.when(*to)
        );
        let subject = format!("{} {}", self.provider, to.as_millisecond());
        self.reconciler.store.raise_alarm("restored", &subject, &text, now).await
    }

    fn when(&self, at: Timestamp) -> String {
        let zone = self.lines.default_calendar().time_zone().clone();
        at.to_zoned(zone).strftime("%d.%m.%Y, %H:%M").to_string()
    }
}

/// For the administrator.
fn in_words(stop: &Stop) -> String {
    match stop {
        Stop::Http(error) => error.in_russian(),
        Stop::Malformed(why) => format!("список оператора не разобрать ({why})"),
        Stop::Forbidden { why: ForbiddenUrl::WithCredentials, .. } => {
            "в адресе следующей страницы списка есть имя или пароль, служба по нему не идёт".to_owned()
        }
        Stop::Forbidden { address, .. } => format!(
            "следующая страница списка на {}, а служба спрашивает только узел и порт из api_base; если оператор переехал, \
             исправьте api_base",
            origin_of(address)
        ),
        Stop::Endless(list) => {
            let list = match list {
                List::Calls => "звонков",
                List::Recordings => "записей",
            };
            format!("список {list} у оператора не кончается: страницы повторяются, или их больше {MAX_LIST_PAGES}")
        }
        Stop::Store(failed) => format!("база данных недоступна ({failed})"),
        Stop::LostTurn => "идёт другая сверка".to_owned(),
    }
}

/// The scheme, host and port of an address, as `api_base` begins. The rest of it may be signed.
fn origin_of(address: &str) -> String {
    let Ok(url) = Url::parse(address) else { return "непонятном адресе".to_owned() };
    url.origin().ascii_serialization().chars().take(100).collect()
}
