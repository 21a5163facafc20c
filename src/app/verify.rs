//! `perezvon verify`: is every kept message, every greeting and every row of the audit still what it was when it came? And is
//! there a file that no row knows?

use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;

use super::config::reason;
use crate::jobs::{NotAdopted, Orphan, Worker};
use crate::recordings::{Checksum, Folder, KeyError, ReadError, RecordingName};
use crate::store::{AuditFault, AuditHead, MAX_AUDIT_FAULTS, Store};

/// Temporary files that nobody has touched for so long are leftovers of a crash.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads every stored recording and compares its checksum. `false`: something is missing or changed.
pub async fn run(store: &Store, folder: &Folder, out: &mut dyn Write) -> anyhow::Result<bool> {
    Ok(rows_to_files(store, folder, out).await?.is_whole)
}

/// The same, and then from the files to the rows. With `adopt` the files of messages that wait for their sound are attached
/// to them. `false`: something is missing or changed; a file too many is only named.
pub async fn run_both_ways(worker: &Worker, adopt: bool, out: &mut dyn Write) -> anyhow::Result<bool> {
    let rows = rows_to_files(&worker.store, &worker.folder, out).await?;
    for name in worker.folder.remove_leftovers(LEFTOVER_AGE).await? {
        writeln!(out, "✓ {name}: остаток прерванной записи убран")?;
    }
    let orphans = worker.orphans(&rows.named).await?;
    let mut can_be_adopted = 0u64;
    for orphan in &orphans {
        match orphan {
            Orphan::OfMessage { voicemail_id, name } if adopt => match worker.adopt(*voicemail_id, name).await {
                Ok(()) => writeln!(out, "✓ {name}: запись присоединена к своему сообщению")?,
                Err(error) => writeln!(out, "! {name}: присоединить не удалось: {}", not_adopted(&error))?,
            },
            Orphan::Arrived { voicemail_id, name } if adopt => {
                worker.adopt_arrived(*voicemail_id).await?;
                writeln!(out, "✓ {name}: служба примет запись в ближайшую минуту")?;
            }
            Orphan::OfMessage { name, .. } | Orphan::Arrived { name, .. } => {
                can_be_adopted += 1;
                writeln!(out, "! {name}: файл есть, а его сообщение ждёт записи или считает её потерянной")?;
            }
            Orphan::Superseded(name) => writeln!(out, "! {name}: лишний файл, сообщение хранится под другим именем")?,
            Orphan::Erased(name) => {
                writeln!(out, "! {name}: сообщение стёрто, а файл остался; служба уберёт его сама, иначе удалите")?;
            }
            Orphan::Unknown(name) => writeln!(out, "! {name}: файл никому не известен, оставлен на месте")?,
        }
    }
    if worker.folder.key_file().is_some() {
        match worker.folder.count_plain().await? {
            (0, _) => {}
            (plain, all) => {
                writeln!(out, "! Сообщений без шифрования: {plain} из {all}. Зашифровать их: perezvon encrypt.")?
            }
        }
    }
    if can_be_adopted > 0 {
        writeln!(
            out,
            "! Записей, которые можно присоединить: {can_be_adopted}. Сделать это: perezvon verify --adopt."
        )?;
    }
    Ok(rows.is_whole)
}

/// Goes through the chain of the audit. `printed`: its end on some day, from paper. `false`: a row is missing, changed or one
/// too many, or what was printed is not there.
pub async fn audit(store: &Store, printed: Option<AuditHead>, out: &mut dyn Write) -> anyhow::Result<bool> {
    let found = store.check_audit(printed).await?;
    for fault in &found.faults {
        writeln!(out, "✗ История действий: {}", audit_fault(fault))?;
    }
    if found.faults.len() == MAX_AUDIT_FAULTS {
        writeln!(out, "✗ Дальше история действий не сверялась: ошибок слишком много.")?;
    }
    let mut about = Vec::new();
    if found.erased > 0 {
        about.push(format!("содержание стёрто в {}", found.erased));
    }
    if found.older > 0 {
        about.push(format!("до начала цепочки сделано {}, они не защищены", found.older));
    }
    let about = about.iter().fold(String::new(), |told, part| format!("{told}; {part}"));
    match (found.faults.is_empty(), found.head) {
        (true, Some(head)) => {
            writeln!(out, "✓ Записей в истории действий: {}, цепочка цела, конец «{head}»{about}.", found.good)?
        }
        (true, None) => writeln!(out, "✓ В истории действий ещё нет записей{about}.")?,
        (false, _) => writeln!(out, "Записей в истории действий целых: {}{about}. Кто менял базу данных?", found.good)?,
    }
    if let Some(printed) = printed.filter(|_| found.faults.is_empty()) {
        writeln!(out, "✓ Запись «{printed}» на месте: всё до неё такое же, каким было, когда её напечатали.")?;
    }
    Ok(found.faults.is_empty())
}

fn audit_fault(fault: &AuditFault) -> String {
    match fault {
        AuditFault::Missing { first, last } if first == last => format!("записи {first} нет"),
        AuditFault::Missing { first, last } => format!("записей с {first} по {last} нет"),
        AuditFault::Changed { seq, id } => format!("запись {seq} изменена (строка {id} таблицы audit)"),
        AuditFault::Unlinked { seq, id } => {
            format!("запись {seq} не продолжает предыдущую: одна из двух изменена (строка {id} таблицы audit)")
        }
        AuditFault::Added { id } => format!("строка {id} таблицы audit добавлена в обход службы"),
        AuditFault::WrongEnd { seq } => format!("конец цепочки не сходится с записью {seq}"),
        AuditFault::OlderRows { written, found } => {
            format!("до начала цепочки было записей: {written}, а сейчас их {found}")
        }
        AuditFault::NotAsPrinted { seq } => format!("запись {seq} не та, что напечатана, или её нет"),
    }
}

fn not_adopted(error: &NotAdopted) -> String {
    match error {
        NotAdopted::Unreadable(error) => format!("файл не читается («{error}»)"),
        NotAdopted::Locked(error) => error.in_russian().to_owned(),
        NotAdopted::Store(error) => format!("база данных отвечает «{error}»"),
        NotAdopted::NotWaiting => "его сообщение больше не ждёт записи".to_owned(),
    }
}

struct Rows {
    is_whole: bool,
    /// The names that rows give their files.
    named: HashSet<String>,
}

async fn rows_to_files(store: &Store, folder: &Folder, out: &mut dyn Write) -> anyhow::Result<Rows> {
    let (mut named, mut wrong, mut locked, mut last) = (HashSet::new(), 0u64, Locked::default(), 0);
    loop {
        let page = store.stored_voicemails(last).await?;
        if page.is_empty() {
            break;
        }
        for voicemail in page {
            last = voicemail.id;
            let Some(sound) = voicemail.sound else { continue };
            match check(folder, &sound.name, &sound.sha256).await {
                Ok(()) => {}
                Err(Fault::Locked(error)) => locked.add(error),
                Err(Fault::Told(what)) => {
                    wrong += 1;
                    writeln!(out, "✗ {}: {what}", sound.name)?;
                }
            }
            named.insert(sound.name);
        }
    }
    let mut last = 0;
    loop {
        let page = store.all_prompts(last).await?;
        if page.is_empty() {
            break;
        }
        for prompt in page {
            last = prompt.id;
            let heard =
                RecordingName::of_prompt(&prompt.name).map_or_else(|_| prompt.name.clone(), |it| it.to_string());
            for (name, sha256) in [(heard, &prompt.sha256), (prompt.original_name, &prompt.original_sha256)] {
                match check(folder, &name, sha256).await {
                    Ok(()) => {}
                    Err(Fault::Locked(error)) => locked.add(error),
                    Err(Fault::Told(what)) => {
                        wrong += 1;
                        writeln!(out, "✗ {name}: {what}")?;
                    }
                }
                named.insert(name);
            }
        }
    }
    for (error, count) in &locked.counts {
        writeln!(
            out,
            "✗ Записей, которые зашифрованы и не проверены: {count}. Причина: {}. {}",
            error.in_russian(),
            error.remedy()
        )?;
    }
    let checked = named.len() - locked.count();
    match wrong {
        0 if locked.count() > 0 => writeln!(out, "Записей проверено: {checked}, все они целы.")?,
        0 => writeln!(out, "✓ Записей проверено: {checked}, все целы.")?,
        _ => writeln!(out, "Записей проверено: {checked}, не сошлось: {wrong}. Верните файлы из резервной копии.")?,
    }
    Ok(Rows { is_whole: wrong == 0 && locked.count() == 0, named })
}

/// Files that nobody can look into, by the reason. They may be whole, and are many as a rule.
#[derive(Default)]
struct Locked {
    counts: Vec<(KeyError, usize)>,
}

impl Locked {
    fn add(&mut self, error: KeyError) {
        match self.counts.iter_mut().find(|(known, _)| *known == error) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((error, 1)),
        }
    }

    fn count(&self) -> usize {
        self.counts.iter().map(|(_, count)| count).sum()
    }
}

/// What is wrong with a file.
enum Fault {
    Locked(KeyError),
    /// In words.
    Told(String),
}

async fn check(folder: &Folder, name: &str, sha256: &[u8]) -> Result<(), Fault> {
    let told = |what: &str| Err(Fault::Told(what.to_owned()));
    let Ok(name) = name.parse::<RecordingName>() else {
        return told("такого имени у записи быть не может");
    };
    match folder.checksum(&name).await {
        Ok(Checksum(found)) if found[..] == *sha256 => Ok(()),
        Ok(found) => told(&format!("файл изменился, контрольная сумма теперь {found}")),
        Err(ReadError::Missing(_)) => told("файла нет"),
        Err(ReadError::Io { source, .. }) => told(&format!("файл не читается: {}", reason(&source))),
        Err(ReadError::Locked { error, .. }) => Err(Fault::Locked(error)),
    }
}
