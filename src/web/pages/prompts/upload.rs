//! A greeting on its way in: read within bounds, made into telephone sound, kept on the disk, then in the database.

use std::sync::Arc;

use axum::extract::Extension;
use axum::extract::multipart::{Multipart, MultipartError, MultipartRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use tokio::sync::Semaphore;
use tracing::{error, info};

use super::{View, draw, remove, text_of};
use crate::core::greetings::GreetingKind;
use crate::core::line::Line;
use crate::core::officer::Role;
use crate::core::wording;
use crate::recordings::prompt::{LARGEST_UPLOAD, NoGreeting, Prepared, prepare};
use crate::recordings::{BadRecordingName, KeepError, Kept, RecordingName};
use crate::store::{MOST_DRAFTS, NewPrompt, PromptError};
use crate::web::pages::refused::{Failure, PageError};
use crate::web::pages::sign_in::Address;
use crate::web::pages::words::counted;
use crate::web::pages::{AnyQuery, Seen, Visitor, query};
use crate::web::password::{hex, random};
use crate::web::work_queue::{WorkError, WorkQueue};
use crate::web::{Error, House};

/// What is read of a request. Beyond [`LARGEST_UPLOAD`] nothing is kept, but a browser that is cut off in mid-sending shows
/// its own words instead of ours.
pub(super) const LARGEST_REQUEST: usize = 4 * LARGEST_UPLOAD;

/// Uploads held in memory at once.
const MAX_READING: usize = 4;

/// Turns of reading uploads and of working on them, one at a time.
#[derive(Clone)]
pub(super) struct Turns {
    reading: Arc<Semaphore>,
    preparing: WorkQueue<()>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { reading: Arc::new(Semaphore::new(MAX_READING)), preparing: WorkQueue::new(1, MAX_READING) }
    }
}

/// Why nothing was taken, as a sentence beside the form, or as a page of its own.
enum Refused {
    Told(StatusCode, String),
    Page(Box<dyn FnOnce() -> Response + Send>),
}

impl Refused {
    fn told(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self::Told(status, sentence.into())
    }

    fn ours(cause: impl std::fmt::Display) -> Self {
        let cause = cause.to_string();
        Self::Page(Box::new(move || Failure::ours(&cause).into_response()))
    }
}

/// A new version of a text, as a draft.
pub(super) async fn take(
    Seen(house): Seen,
    Extension(turns): Extension<Turns>,
    visitor: Visitor,
    view: AnyQuery<View>,
    Address(address): Address,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let person = visitor.at_least(Role::Senior)?;
    let view = query(view);
    let lines = house.lines();
    let (line, kind) = text_of(&lines, &view).ok_or(Error::NotFound)?;
    let Ok(form) = form else {
        return Err(Error::BadRequest("Форма пришла не целиком. Вернитесь и повторите.".to_owned()).into());
    };
    let taken = async {
        let bytes = read(form, &turns).await?;
        let (prepared, bytes) = ready(bytes, &turns).await?;
        let new = keep(&house, line, kind, prepared, &bytes).await?;
        let (name, original_name) = (new.name.clone(), new.original_name.clone());
        let kept = house.store.add_prompt(new, &person.actor, &address, now).await;
        if kept.is_err() {
            remove(&house, &name, &original_name).await;
        }
        kept.map_err(not_added)
    };
    match taken.await {
        Ok(id) => {
            info!(prompt.id = id, line.id = %line.id, "A greeting was uploaded for the {} line", line.id);
            Ok(Redirect::to(&View::of(&line.id, kind, "new").address()).into_response())
        }
        Err(Refused::Told(status, sentence)) => {
            draw(&house, &person, View { did: String::new(), ..view }, Some((status, sentence)), now).await
        }
        Err(Refused::Page(page)) => Ok(page()),
    }
}

/// The bytes of the field `sound`, never more than may be kept.
async fn read(mut form: Multipart, turns: &Turns) -> Result<Vec<u8>, Refused> {
    let unreadable = |failed: MultipartError| match failed.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => Refused::told(StatusCode::BAD_REQUEST, "Файл пришёл не целиком. Проверьте связь и загрузите ещё раз."),
    };
    let Ok(_turn) = turns.reading.try_acquire() else { return Err(busy()) };
    let mut bytes = Vec::new();
    let mut size = 0;
    while let Some(mut field) = form.next_field().await.map_err(unreadable)? {
        let is_sound = field.name() == Some("sound");
        while let Some(piece) = field.chunk().await.map_err(unreadable)? {
            size += piece.len();
            if is_sound && size <= LARGEST_UPLOAD {
                bytes.extend_from_slice(&piece);
            }
        }
    }
    match size {
        0 => Err(Refused::told(StatusCode::UNPROCESSABLE_ENTITY, "Выберите файл или запишите приветствие.")),
        _ if size > LARGEST_UPLOAD => Err(too_large()),
        _ => Ok(bytes),
    }
}

fn busy() -> Refused {
    let told = "Сейчас загружают другие приветствия. Подождите минуту и загрузите ещё раз.";
    Refused::told(StatusCode::SERVICE_UNAVAILABLE, told)
}

fn too_large() -> Refused {
    let megabytes = LARGEST_UPLOAD / 1024 / 1024;
    let told = format!("Файл больше {megabytes} МБ. Сохраните запись как MP3 или запишите заново.");
    Refused::told(StatusCode::PAYLOAD_TOO_LARGE, told)
}

/// Where it holds up nobody; a decoder that panics costs only its own file.
async fn ready(bytes: Vec<u8>, turns: &Turns) -> Result<(Prepared, Vec<u8>), Refused> {
    match turns.preparing.run((), move || (prepare(&bytes), bytes)).await {
        Ok((Ok(prepared), bytes)) => Ok((prepared, bytes)),
        Ok((Err(no_greeting), _)) => Err(Refused::told(StatusCode::UNPROCESSABLE_ENTITY, words(&no_greeting))),
        Err(WorkError::QueueFull) => Err(busy()),
        Err(died @ WorkError::Panicked(_)) => {
            error!(error = %died, "Reading an uploaded greeting failed");
            let damaged = words(&NoGreeting::Damaged(String::new()));
            Err(Refused::told(StatusCode::UNPROCESSABLE_ENTITY, damaged))
        }
    }
}

/// Why it is no greeting, and what to do.
fn words(no_greeting: &NoGreeting) -> &'static str {
    match no_greeting {
        NoGreeting::Empty => "Файл пустой. Выберите другой или запишите приветствие.",
        NoGreeting::NotSound => "Это не звуковой файл. Подойдут WAV, MP3, OGG и M4A.",
        NoGreeting::Unsupported(_) => "Такое сжатие звука здесь не читается. Сохраните запись как WAV или MP3.",
        NoGreeting::NoSoundTrack => "В файле нет звуковой дорожки. Выберите другой.",
        NoGreeting::Damaged(_) => "Файл повреждён и не читается. Загрузите его ещё раз или запишите приветствие.",
        NoGreeting::TooLong => "Длиннее 60 секунд. Звонящие ждут не больше 25: сократите и загрузите ещё раз.",
        NoGreeting::Silent => "В файле тишина. Проверьте микрофон и запишите ещё раз.",
        NoGreeting::TooShort => "В файле почти ничего не слышно. Запишите ещё раз.",
    }
}

/// Both files on the disk, under a name that nobody can guess.
async fn keep(
    house: &House,
    line: &Line,
    kind: GreetingKind,
    prepared: Prepared,
    bytes: &[u8],
) -> Result<NewPrompt, Refused> {
    let name = hex(&random::<16>());
    let named = |named: Result<RecordingName, BadRecordingName>| named.map_err(Refused::ours);
    let heard = named(RecordingName::of_prompt(&name))?;
    let original = named(RecordingName::of_uploaded_prompt(&name, prepared.container.extension()))?;
    let (heard, uploaded) =
        match (write(house, heard, &prepared.sound.wav()).await, write(house, original.clone(), bytes).await) {
            (Ok(heard), Ok(uploaded)) => (heard, uploaded),
            (Err(failed), _) | (_, Err(failed)) => {
                remove(house, &name, original.as_str()).await;
                return Err(not_kept(failed));
            }
        };
    Ok(NewPrompt {
        line: line.id.clone(),
        kind,
        name,
        read_text: wording::to_read(kind, line),
        length_ms: prepared.sound.length_ms(),
        sha256: heard.sha256.0.to_vec(),
        original_name: uploaded.name.to_string(),
        original_type: prepared.container.content_type().to_owned(),
        original_length_ms: prepared.original_length_ms,
        original_sha256: uploaded.sha256.0.to_vec(),
        raised_centibels: (prepared.raised_db * 10.0).round() as i64,
        clipped: i64::try_from(prepared.clipped).unwrap_or(i64::MAX),
        damage: prepared.damage,
    })
}

async fn write(house: &House, name: RecordingName, bytes: &[u8]) -> Result<Kept, KeepError> {
    let mut incoming = house.folder.begin(name, bytes.len() as u64).await?;
    incoming.write(bytes).await?;
    incoming.finish().await
}

fn not_kept(failed: KeepError) -> Refused {
    match failed {
        KeepError::NoSpace(_) => {
            error!(error = %failed, "A greeting could not be kept: {failed}");
            let told = "Не удалось сохранить: на диске нет места. Скажите администратору.";
            Refused::told(StatusCode::INSUFFICIENT_STORAGE, told)
        }
        failed => Refused::ours(failed),
    }
}

fn not_added(failed: PromptError) -> Refused {
    match failed {
        PromptError::TooManyDrafts => {
            let drafts = counted(MOST_DRAFTS, ["черновик", "черновика", "черновиков"]);
            let told = format!("У этого текста уже {drafts}. Удалите ненужные и загрузите ещё раз.");
            Refused::told(StatusCode::CONFLICT, told)
        }
        PromptError::Store(failed) => Refused::Page(Box::new(move || PageError::from(failed).into_response())),
        failed => Refused::ours(failed),
    }
}
