//! `perezvon pbx config`: what the administrator puts on his exchange for the configured lines, printed or written as files.
//!
//! The text is made of the lines as they are at that moment (`dialplan`, with the hours of `hours`), secrets go only
//! into files (`files`), and a head of Russian comment says what belongs where.

mod dialplan;
mod files;
mod hours;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use url::Url;

pub use self::dialplan::{VERSION_VARIABLE, version};
use self::files::{File, Put};
use super::config::{Config, ProviderConfig, is_loopback};
use crate::core::line::Lines;
use crate::providers::asterisk::{Ari, Settings};

/// The dialplan, included by the exchange's `extensions.conf`.
const DIALPLAN_FILE: &str = "perezvon.conf";
/// The header line with the token, read by the dialplan's `curl -H @file`.
const TOKEN_FILE: &str = "perezvon-token";
/// The account of the service, included by the exchange's `ari.conf`.
const ARI_FILE: &str = "perezvon-ari.conf";

/// What the dialplan uses, beside what every exchange has.
pub const MODULES: [&str; 25] = [
    "pbx_config",
    "pbx_spool",
    "app_dial",
    "app_exec",
    "app_playback",
    "app_read",
    "app_record",
    "app_stack",
    "app_system",
    "app_verbose",
    "bridge_simple",
    "format_wav",
    "func_callerid",
    "func_cdr",
    "func_channel",
    "func_cut",
    "func_dialplan",
    "func_env",
    "func_global",
    "func_logic",
    "func_shell",
    "func_strings",
    "func_uri",
    "res_pjsip",
    "res_pjsip_diversion",
];

/// What is to be printed.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// Подключение с kind = "asterisk", если их несколько
    #[arg(long, value_name = "ИМЯ")]
    pub provider: Option<String>,
    /// Записать файлы в эту папку, обычно /etc/asterisk; без неё диалплан печатается, а ключи нет
    #[arg(long, value_name = "ПАПКА")]
    pub into: Option<PathBuf>,
    /// Адрес Перезвона, каким его видит АТС. Без него server.public_url; если АТС на этой же машине, лучше http://127.0.0.1:8080
    #[arg(long, value_name = "АДРЕС")]
    pub url: Option<String>,
    /// Заменить и те файлы, которые изменены руками
    #[arg(long, requires = "into")]
    pub replace: bool,
}

/// An exchange and the lines it serves.
pub struct Exchange<'a> {
    pub settings: &'a Settings,
    pub lines: &'a Lines,
    /// Where the exchange reaches the service: `http://127.0.0.1:8080`, without a slash at the end.
    pub url: String,
}

/// Prints the configuration, or writes it into a folder and tells what it did. `config.lines` are the lines of the moment.
///
/// # Errors
/// No exchange or several, an address that the exchange cannot reach, a folder that cannot be written, a file that is
/// not ours to replace.
pub fn config(config: &Config, args: &ConfigArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let settings = chosen(config, args.provider.as_deref())?;
    let url = address(config, settings, args.url.as_deref())?;
    let exchange = Exchange { settings, lines: &config.lines, url };
    let files = files_of(&exchange)?;
    let Some(folder) = &args.into else {
        write!(out, "{}", files[0].text)?;
        return Ok(());
    };
    let put = files::put(&files, folder, args.replace)?;
    for (file, put) in files.iter().zip(&put) {
        let path = folder.join(file.name);
        match put {
            Put::Written => writeln!(out, "Записан {}", path.display())?,
            Put::Renewed => writeln!(out, "Обновлён {}", path.display())?,
            Put::Replaced => {
                writeln!(out, "Заменён {}, прежний сохранён в {}", path.display(), files::old(&path).display())?;
            }
            Put::Same => writeln!(out, "Без изменений {}", path.display())?,
        }
    }
    if files::readable_by_owner_only(&files, folder) {
        writeln!(
            out,
            "Файлы читает только их владелец. Если Asterisk работает под другим пользователем, отдайте их ему: chgrp asterisk {0}/perezvon* && \
             chmod 640 {0}/perezvon*",
            folder.display()
        )?;
    }
    if put.iter().any(|put| *put != Put::Same) {
        writeln!(out, "Теперь перечитайте их на АТС: asterisk -rx 'dialplan reload'")?;
        if settings.ari.is_some() {
            writeln!(
                out,
                "и asterisk -rx 'module reload res_ari.so'. Что ещё нужно, сказано в начале {DIALPLAN_FILE}."
            )?;
        }
    }
    Ok(())
}

fn chosen<'a>(config: &'a Config, name: Option<&str>) -> anyhow::Result<&'a Settings> {
    let exchanges: Vec<&Settings> = config
        .providers
        .iter()
        .filter_map(|provider| match provider {
            ProviderConfig::Asterisk(settings) => Some(settings),
            ProviderConfig::Twiml { .. } => None,
        })
        .collect();
    let names = || exchanges.iter().map(|settings| &*settings.name).collect::<Vec<_>>().join(", ");
    match (name, &exchanges[..]) {
        (_, []) => bail!(
            "в настройках нет подключения с kind = \"asterisk\". Добавьте раздел [[providers]], образец в perezvon.example.toml"
        ),
        (None, [only]) => Ok(only),
        (None, _) => bail!("подключений к АТС несколько: {}. Выберите одно: --provider ИМЯ", names()),
        (Some(name), _) => exchanges
            .iter()
            .find(|settings| &*settings.name == name)
            .copied()
            .with_context(|| format!("подключения {name} с kind = \"asterisk\" нет; есть {}", names())),
    }
}

/// Where the exchange reaches us: scheme, host and port.
fn address(config: &Config, settings: &Settings, given: Option<&str>) -> anyhow::Result<String> {
    if let Some(text) = given {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.filter(|url| url.path() == "/" && url.query().is_none() && url.username().is_empty());
        let url = url.with_context(|| format!("{text} не адрес: напишите, например, http://127.0.0.1:8080"))?;
        return Ok(url.origin().ascii_serialization());
    }
    let here = |text: &str| Url::parse(text).is_ok_and(|url| is_loopback(&url));
    let elsewhere = settings.ari.as_ref().is_some_and(|ari| !here(&ari.base));
    let public_url = &config.server.public_url;
    if here(public_url) && elsewhere {
        bail!(
            "адрес {public_url} виден только на этой машине, а АТС на другой (ari_base). Укажите внешний адрес в \
             server.public_url или --url АДРЕС"
        );
    }
    Ok(public_url.clone())
}

/// The dialplan first. The token file has the first token: while rotating it is the new one.
fn files_of(exchange: &Exchange<'_>) -> anyhow::Result<Vec<File>> {
    let body = dialplan::dialplan(exchange);
    let head = head(exchange);
    let mut files = vec![File::marked(DIALPLAN_FILE, format!("{head}\n{body}"))];
    let token = exchange.settings.tokens.first().context("у подключения нет ни одного ключа")?;
    files.push(File { name: TOKEN_FILE, text: format!("Authorization: Bearer {token}\n") });
    if let Some(Ari { user, password, .. }) = &exchange.settings.ari {
        let plain = |text: &str| !text.is_empty() && text.chars().all(|c| !c.is_control() && !"[]".contains(c));
        if !plain(user) || !plain(password) || password.trim() != password {
            bail!("такие ari_user или ari_password нельзя записать в ari.conf: не нужны [, ] и пробелы по краям");
        }
        let password = password.replace('\\', "\\\\").replace(';', "\\;");
        let text = format!(
            "; Учётная запись Перезвона: #include {ARI_FILE} в конце ari.conf\n[{user}]\ntype = user\nread_only = no\n\
             password = {password}\npassword_format = plain\n"
        );
        files.push(File::marked(ARI_FILE, text));
    }
    Ok(files)
}

/// What to put where, for whoever opens the file.
fn head(exchange: &Exchange<'_>) -> String {
    let Exchange { settings: Settings { name, trunk, ari, .. }, url, .. } = exchange;
    let provider = dialplan::comment(name);
    let ari = match ari {
        None => "; Звонки со страницы «Перезвонить» (ARI) не настроены: добавьте ari_base, ari_user и ari_password в\n\
                 ; perezvon.toml и запустите perezvon pbx config ещё раз.\n"
            .to_owned(),
        Some(_) => format!(
            "; Звонки со страницы «Перезвонить» (ARI):\n\
             ;  - http.conf, раздел [general]:  enabled = yes  и  bindaddr = 127.0.0.1\n\
             ;  - ari.conf, раздел [general]:  enabled = yes  и последней строкой файла  #include {ARI_FILE}\n"
        ),
    };
    let modules: String = MODULES.chunks(8).map(|row| format!(";  {}\n", row.join(" "))).collect();
    format!(
        "; Диалплан Перезвона для подключения {provider}, служба {url}\n\
         ; Сделан командой  perezvon pbx config --into /etc/asterisk  из настроек службы. Не правьте его руками: измените\n\
         ; настройки и запустите её ещё раз, затем  asterisk -rx 'dialplan reload'\n;\n\
         ; Что добавить на АТС:\n\
         ;  - extensions.conf, последней строкой:  #include {DIALPLAN_FILE}\n\
         ;  - pjsip.conf, в точку [{trunk}] (type = endpoint, подключение к оператору связи):  context = perezvon\n\
         ;  - asterisk.conf, раздел [options]:  systemname = имя латинскими буквами, своё у каждой АТС\n\
         ;  - рядом с этим файлом:  {TOKEN_FILE} с ключом службы, его пишет та же команда с --into; права 640, группа Asterisk\n\
         ;  - программа curl, русский набор звуков asterisk-core-sounds-ru-wav\n\
         ; Нужны модули (обычно загружены все):\n{modules}\
         {ari};\n\
         ; Куда направить звонок, решает служба. Часы в этом файле действуют, только пока она не отвечает: это часы\n\
         ; недели на миг, когда он сделан, без праздников и исключений. Изменили часы на странице «Календарь» или в\n\
         ; настройках: запустите команду ещё раз.\n\
         ; Номера оператору набираются цифрами с кода страны: 79281234567. Если ему нужен другой вид, измените его в точке\n\
         ; [{trunk}] или у оператора.\n"
    )
}
