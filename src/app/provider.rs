//! `perezvon provider fallback`: the document that takes messages while this service cannot be reached.

use std::io::Write;

use anyhow::{Context, bail};
use clap::Args;
use url::{Host, Url};

use super::config::{Config, is_loopback};
use super::house;
use crate::core::line::LineId;
use crate::core::script;
use crate::providers::{Kind, is_public};

#[derive(Clone, Debug, Args)]
pub struct FallbackArgs {
    /// Название подключения из настроек
    #[arg(value_name = "ПОДКЛЮЧЕНИЕ")]
    pub name: String,
    /// Линия, звонящим на которую он отвечает
    #[arg(long, value_name = "ЛИНИЯ")]
    pub line: String,
}

/// Whether a provider may reach this address: not one of this machine, which an unset `public_url` is, nor of a network at
/// home.
fn is_reachable(public_url: &str) -> bool {
    Url::parse(public_url).is_ok_and(|url| match url.host() {
        Some(Host::Domain(_)) => !is_loopback(&url),
        Some(Host::Ipv4(ip)) => is_public(ip.into()),
        Some(Host::Ipv6(ip)) => is_public(ip.into()),
        None => false,
    })
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
    let public_url = &config.server.public_url;
    if !is_reachable(public_url) {
        bail!(
            "в запасном документе стоят адреса службы, а оператор её не найдёт по адресу {public_url}. Впишите в server.public_url \
             адрес, по которому служба видна из интернета, например https://calls.example.org"
        );
    }
    let known = || config.lines.iter().map(|line| line.id.as_str()).collect::<Vec<_>>().join(", ");
    let line = config.lines.get(&LineId::new(&args.line));
    let line = line.with_context(|| format!("линии {} нет; есть {}", args.line, known()))?;
    writeln!(out, "{}", provider.render(&script::offer_without_service(line)).body)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config;

    fn printed(server: &str) -> anyhow::Result<String> {
        let text = format!(
            r#"
            [server]
            {server}
            [[providers]]
            name = "twilio"
            kind = "twiml"
            account_sid = "AC1"
            auth_tokens = ["tishe-vody-nizhe-travy"]
            "#
        );
        let config = config::parse(&text, None, []).unwrap();
        let args = FallbackArgs { name: "twilio".to_owned(), line: "parents".to_owned() };
        let mut out = Vec::new();
        fallback(&config, &args, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn document_leads_to_an_address_that_a_provider_can_reach() {
        let document = printed("public_url = \"https://calls.example.org\"").unwrap();
        assert!(document.contains("https://calls.example.org/webhooks/twilio/"), "{document}");
        assert!(document.contains("<Say") && document.contains("<Record"), "a greeting, and the offer: {document}");
        for server in [
            "",
            "listen = \"0.0.0.0:8080\"",
            "listen = \"192.168.0.5:8080\"",
            "public_url = \"http://localhost:8080\"",
            "public_url = \"http://127.0.0.1:8080\"",
            "public_url = \"http://[::1]:8080\"",
        ] {
            let refused = printed(server).unwrap_err().to_string();
            assert!(refused.contains("server.public_url"), "{server}: {refused}");
        }
    }
}
