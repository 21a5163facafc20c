//! `perezvon provider fallback`: the document that takes messages while this service cannot be reached.

use std::io::Write;

use anyhow::{Context, bail};
use clap::Args;

use super::config::Config;
use super::house;
use crate::core::line::LineId;
use crate::core::script;
use crate::providers::Kind;

#[derive(Clone, Debug, Args)]
pub struct FallbackArgs {
    /// Название подключения из настроек
    #[arg(value_name = "ПОДКЛЮЧЕНИЕ")]
    pub name: String,
    /// Линия, звонящим на которую он отвечает
    #[arg(long, value_name = "ЛИНИЯ")]
    pub line: String,
}

/// Prints the document, and nothing else: it goes into a file as it is.
pub fn fallback(config: &Config, args: &FallbackArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let providers = house::providers(config, false);
    let Some(provider) = providers.get(&args.name) else {
        let mut known: Vec<&str> = providers.iter().map(|provider| &**provider.name()).collect();
        known.sort_unstable();
        bail!("подключения {} нет; есть {}", args.name, known.join(", "));
    };
    if provider.kind() == Kind::Asterisk {
        bail!(
            "своей АТС запасной документ не нужен: без службы она принимает сообщения по правилам из perezvon pbx config и \
             передаёт их позже"
        );
    }
    let known = || config.lines.iter().map(|line| line.id.as_str()).collect::<Vec<_>>().join(", ");
    let line = config.lines.get(&LineId::new(&args.line));
    let line = line.with_context(|| format!("линии {} нет; есть {}", args.line, known()))?;
    writeln!(out, "{}", provider.render(&script::offer_without_service(line)).body)?;
    Ok(())
}
