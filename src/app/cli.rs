//! The command line: what may be asked of `perezvon`, with the Russian help. What the commands do is elsewhere.

mod russian;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

pub use self::russian::parse;
use super::hours::HoursArgs;
use super::pbx::ConfigArgs;
use super::privacy::{FindArgs, ForgetArgs, RetentionArgs};
use super::provider::FallbackArgs;
use super::reconcile::ReconcileArgs;
use super::webhook_verify::VerifyArgs;
use crate::core::officer::Role;
use crate::store::AuditHead;
use crate::time::{Date, Timestamp};

/// «Перезвон»: ни один звонок не забыт, никому не звонят дважды.
#[derive(Debug, Parser)]
#[command(
    name = "perezvon",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Файл настроек. Без него perezvon.toml из текущей папки, а если его нет, настройки школы
    #[arg(long, global = true, value_name = "ФАЙЛ", display_order = 1000)]
    pub config: Option<PathBuf>,
    /// Показать справку
    #[arg(short, long, global = true, action = ArgAction::Help, display_order = 1001)]
    help: Option<bool>,
    /// Показать версию
    #[arg(short = 'V', long, action = ArgAction::Version, display_order = 1002)]
    version: Option<bool>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Запустить службу: принимать звонки и показывать страницы
    Serve(ServeArgs),
    /// Показать всё в деле: учебные звонки на обе линии во временной папке
    Demo(DemoArgs),
    /// Открыта ли линия, почему, когда откроется и к какому сроку ответить: по настройкам, без изменений со страницы «Календарь»
    Hours(HoursArgs),
    /// Проверить настройки, календарь, диск и подключения; код 1, если что-то нужно исправить
    Check,
    /// Сотрудники: добавить, показать, сменить пароль, отключить
    #[command(subcommand)]
    Officer(OfficerCommand),
    /// Ключи программ для API: добавить, показать, отозвать
    #[command(subcommand)]
    Token(TokenCommand),
    /// Запросы оператора связи
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Сверить списки звонков и записей у операторов со своими и внести то, о чём служба не узнала; код 1 при ошибке
    Reconcile(ReconcileArgs),
    /// Подключения к операторам связи
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// Своя АТС на Asterisk
    #[command(subcommand)]
    Pbx(PbxCommand),
    /// Сверить записи с базой и базу с записями или проверить резервную копию; код 1, если чего-то нет или оно изменилось
    Verify(VerifyRecordingsArgs),
    /// Сделать резервную копию базы и записей, не останавливая службу
    Backup(BackupArgs),
    /// Восстановить резервную копию в пустую базу и пустую папку записей из настроек
    Restore(RestoreArgs),
    /// Ключ, которым шифруются записи и резервные копии
    #[command(subcommand)]
    Key(KeyCommand),
    /// Зашифровать сообщения, которые лежат в папке записей без шифрования, не останавливая службу. Прерванное можно повторить
    Encrypt,
    /// Найти всё, что есть об одном номере: звонки, обращения, сообщения, заметки; код 1, если ничего нет
    Find(FindArgs),
    /// Стереть всё об одном номере: из базы данных, записей и очередей; код 1, если человек ещё ждёт звонка
    Forget(ForgetArgs),
    /// Стереть то, чей срок хранения истёк: сроки в разделе retention настроек. Служба делает это сама каждую ночь
    Retention(RetentionArgs),
    /// Повторить принятые запросы операторов в пустую базу или внести звонки, которых нет в базе данных
    Replay(ReplayArgs),
}

#[derive(Clone, Debug, Args)]
pub struct VerifyRecordingsArgs {
    /// Присоединить найденные файлы к сообщениям, которые ждут записи или считают её потерянной
    #[arg(long, conflicts_with = "backup")]
    pub adopt: bool,
    /// Проверить эту резервную копию вместо записей службы
    #[arg(long, value_name = "ПАПКА")]
    pub backup: Option<PathBuf>,
    /// Файл ключа, которым зашифрована копия. Без него берётся storage.key_file из настроек
    #[arg(long, value_name = "ФАЙЛ", requires = "backup")]
    pub key_file: Option<PathBuf>,
    /// Конец истории действий с бумаги, из письма или справки: есть ли эта запись и та же ли она
    #[arg(long, value_name = "«1234 3f2a-91bc-77de»", value_parser = audit_head, conflicts_with = "backup")]
    pub audit_head: Option<AuditHead>,
}

#[derive(Clone, Debug, Args)]
pub struct BackupArgs {
    /// Папка для копий: в ней появится новая папка с датой
    #[arg(value_name = "ПАПКА")]
    pub into: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub struct RestoreArgs {
    /// Папка одной копии, например /var/backups/perezvon/perezvon-2026-11-21T03-00-00
    #[arg(value_name = "КОПИЯ")]
    pub backup: PathBuf,
    /// Список стёртых номеров, чтобы копия никого не вернула. Без ключа берутся списки рядом с копией и в папке записей
    #[arg(long, value_name = "ФАЙЛ")]
    pub forgotten: Option<PathBuf>,
    /// Файл ключа, которым зашифрована копия. Без него берётся storage.key_file из настроек
    #[arg(long, value_name = "ФАЙЛ")]
    pub key_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Учение: часы начнут с этого мгновения, например 2026-11-20T19:30:00+03:00. Только с пустой или учебной базой
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    pub rehearse_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ReplayArgs {
    /// Пустая база, в которую повторить все принятые запросы: sqlite:файл или postgres://…
    #[arg(long, value_name = "БАЗА")]
    pub into: Option<String>,
    /// Файл или папка со звонками, которые ждали базу данных, или журнал службы, в который они напечатаны; «-» читает стандартный ввод
    #[arg(long, value_name = "ФАЙЛ")]
    pub spool: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// С какого мгновения начать, например 2026-11-20T19:30:00+03:00. По умолчанию пятница, 19:30
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    pub at: Option<Timestamp>,
}

#[derive(Debug, Subcommand)]
pub enum OfficerCommand {
    /// Добавить сотрудника; пароль печатается один раз
    Add {
        /// Имя, каким его видят коллеги: «Мадина И.»
        #[arg(value_name = "ИМЯ", value_parser = not_blank)]
        name: String,
        /// Имя для входа
        #[arg(long, value_name = "ЛОГИН", value_parser = not_blank)]
        login: String,
        /// observer (смотрит), officer (звонит), senior (отчёты, календарь), admin (люди, линии)
        #[arg(long, value_name = "РОЛЬ", value_parser = role)]
        role: Role,
        /// Линия, которую видит observer или officer; можно назвать несколько, без неё видны все
        #[arg(long = "line", value_name = "ЛИНИЯ")]
        lines: Vec<String>,
    },
    /// Показать всех сотрудников
    List,
    /// Выдать новый пароль, закрыть все входы, снять второй фактор; пароль печатается один раз
    Reset {
        #[arg(value_name = "ЛОГИН", help = "Имя для входа")]
        login: String,
    },
    /// Отключить: войти нельзя, история остаётся
    Disable {
        #[arg(value_name = "ЛОГИН", help = "Имя для входа")]
        login: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Добавить ключ; он печатается один раз
    Add {
        /// Название программы, под которым её действия видны в журнале
        #[arg(value_name = "НАЗВАНИЕ", value_parser = not_blank)]
        name: String,
        /// observer, officer, senior, admin
        #[arg(long, value_name = "РОЛЬ", value_parser = role)]
        role: Role,
        /// Последний день, когда ключ действует, например 2027-06-30; без него ключ действует, пока его не отозвали
        #[arg(long, value_name = "ДАТА", value_parser = date)]
        expires: Option<Date>,
        /// Линия, которую видит программа с ролью observer или officer; можно назвать несколько, без неё видны все
        #[arg(long = "line", value_name = "ЛИНИЯ")]
        lines: Vec<String>,
    },
    /// Показать ключи: номера, названия, роли, сроки и когда ими пользовались; сами ключи не хранятся
    List,
    /// Отозвать ключ навсегда
    Revoke {
        #[arg(value_name = "НОМЕР", help = "Номер ключа из perezvon token list", value_parser = token_id)]
        id: i64,
    },
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Сделать новый ключ в новом файле; существующий файл не изменится
    New {
        /// Файл для ключа, например /etc/perezvon/recordings.key
        #[arg(value_name = "ФАЙЛ")]
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum PbxCommand {
    /// Напечатать настройки АТС для линий из настроек или записать их файлами
    Config(ConfigArgs),
}

#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// Напечатать запасной документ линии: он лежит в месте, которое от этой службы не зависит, и принимает сообщения без неё
    Fallback(FallbackArgs),
}

#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Почему запрос отклонён: тело запроса на стандартный ввод, ответ accepted или причина; код 0 или 1
    Verify(VerifyArgs),
}

fn audit_head(text: &str) -> Result<AuditHead, String> {
    text.parse().map_err(|_| "нужны номер записи и двенадцать знаков, как напечатано: «1234 3f2a-91bc-77de»".to_owned())
}

/// An instant to the millisecond, as all instants here are.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let read: Result<Timestamp, _> = text.parse();
    read.map(|at| crate::time::from_millisecond(at.as_millisecond()))
        .map_err(|_| "напишите время со смещением, например 2026-11-20T19:30:00+03:00".to_owned())
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|_| "нужна роль observer, officer, senior или admin".to_owned())
}

fn date(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| "напишите дату, например 2027-06-30".to_owned())
}

fn token_id(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "нужен номер из perezvon token list".to_owned())
}

fn not_blank(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("здесь нужно слово".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn read(words: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(words.split(' '))
    }

    #[test]
    fn the_description_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_file_may_be_named_before_or_after_the_command() {
        for words in ["perezvon --config a.toml check", "perezvon check --config a.toml"] {
            let cli = read(words).unwrap();
            assert_eq!(cli.config, Some("a.toml".into()), "{words}");
            assert!(matches!(cli.command, Command::Check));
        }
    }

    #[test]
    fn hours_are_asked_with_or_without_an_instant_of_the_command_line() {
        assert!(read("perezvon hours --line parents --at 2026-11-20T19:30:00+03:00 --due-hours 8 --json").is_ok());
        assert!(read("perezvon hours --stdin").is_ok() && read("perezvon hours").is_err());
    }

    #[test]
    fn an_instant_needs_its_offset() {
        let cli = read("perezvon serve --rehearse-at 2026-11-20T19:30:00+03:00").unwrap();
        let Command::Serve(ServeArgs { rehearse_at: Some(at) }) = cli.command else { panic!("{cli:?}") };
        assert_eq!(at.to_string(), "2026-11-20T16:30:00Z");
        for at in ["2026-11-20T19:30:00", "2026-11-20", "вчера"] {
            assert!(read(&format!("perezvon demo --at {at}")).is_err(), "{at}");
        }
    }

    #[test]
    fn reconcile_and_fallback_take_their_arguments() {
        let cli = read("perezvon reconcile --since 2026-11-20T13:30:00+03:00 --provider twilio --json").unwrap();
        let Command::Reconcile(args) = cli.command else { panic!("{cli:?}") };
        assert_eq!((args.provider.as_deref(), args.json), (Some("twilio"), true));
        assert!(read("perezvon reconcile --since вчера").is_err());
        assert!(read("perezvon provider fallback twilio --line parents").is_ok());
        assert!(read("perezvon provider fallback twilio").is_err());
    }

    #[test]
    fn replay_needs_to_know_where_from_or_where_to() {
        assert!(read("perezvon replay").is_err());
        assert!(read("perezvon replay --into sqlite:new.db").is_ok());
        assert!(read("perezvon replay --spool -").is_ok());
        assert!(read("perezvon replay --spool - --into sqlite:new.db").is_err());
        assert!(read("perezvon verify --adopt --backup x").is_err(), "nothing is adopted from a backup");
    }

    #[test]
    fn people_and_tokens_have_known_roles_only() {
        let cli = read("perezvon officer add Мадина --login madina --role senior").unwrap();
        assert!(matches!(cli.command, Command::Officer(OfficerCommand::Add { role: Role::Senior, .. })));
        assert!(matches!(
            read("perezvon token revoke 3").unwrap().command,
            Command::Token(TokenCommand::Revoke { id: 3 })
        ));
        let cli = read("perezvon token add crm --role observer --expires 2027-06-30").unwrap();
        let Command::Token(TokenCommand::Add { expires: Some(date), .. }) = cli.command else { panic!("{cli:?}") };
        assert_eq!(date.to_string(), "2027-06-30");
        assert!(read("perezvon token add crm --role observer --expires июнь").is_err());
        let cli = read("perezvon token add crm --role observer --line parents --line staff").unwrap();
        let Command::Token(TokenCommand::Add { lines, .. }) = cli.command else { panic!("{cli:?}") };
        assert_eq!(lines, ["parents", "staff"]);
        let error = read("perezvon token add crm --role boss").unwrap_err().to_string();
        assert!(error.contains("observer, officer, senior или admin"), "{error}");
    }
}
