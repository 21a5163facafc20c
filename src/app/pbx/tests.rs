use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::app::config::parse;
use crate::core::dialing::DialingRules;

const PROVIDER: &str = r#"
    [[providers]]
    name = "asterisk"
    kind = "asterisk"
    tokens = ["tishe-vody-nizhe-travy"]
"#;

fn read(text: &str) -> Config {
    parse(text, None, std::iter::empty()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn run(text: &str, args: &ConfigArgs) -> Result<String, String> {
    let mut out = Vec::new();
    config(&read(text), args, &mut out).map_err(|error| format!("{error:#}"))?;
    Ok(String::from_utf8(out).unwrap())
}

fn printed(text: &str) -> String {
    run(text, &ConfigArgs::default()).unwrap()
}

fn into(folder: &Path) -> ConfigArgs {
    ConfigArgs { into: Some(folder.to_owned()), ..ConfigArgs::default() }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_dialplan_of_the_schools_two_lines() {
    insta::assert_snapshot!(printed(PROVIDER));
}

#[test]
fn the_token_is_never_printed() {
    let text = format!(
        "{PROVIDER}ari_base = \"http://127.0.0.1:8088/ari\"\nari_user = \"perezvon\"\nari_password = \"sezam-otkroisya\""
    );
    let text = printed(&text);
    assert!(!text.contains("tishe-vody") && !text.contains("sezam"), "{text}");
    assert!(text.contains("-H @${ASTETCDIR}/perezvon-token") && text.contains("#include perezvon-ari.conf"), "{text}");
}

#[test]
fn every_spelling_of_every_number_and_alias_leads_to_its_line() {
    let lines = "[[lines]]\nid = \"parents\"\nnumber = \"8 928 832-80-88\"\naliases = [\"8 871 222-22-22\", \"sip-id.7\", \"375291112233\", \"плюс;1\"]";
    let text = printed(&format!("{lines}\n{PROVIDER}"));
    for number in
        ["89288328088", "79288328088", "+79288328088", "9288328088", "+78712222222", "88712222222", "sip-id.7"]
    {
        let table =
            format!("exten => {number},1,Set(PZ_LINE=${{EXTEN}})\n same => n,Goto(perezvon-line-parents,begin,1)\n");
        assert!(text.contains(&table), "{number}: {text}");
    }
    assert!(text.contains("; плюс;1: не может стоять в диалплане, пропущен\n"), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("exten") && line.contains("плюс")), "{text}");
}

#[test]
fn telephones_ring_one_after_another_and_public_ones_with_a_number_of_ours() {
    let line = "[[lines]]\nid = \"staff\"\nnumber = \"89288036355\"\nring = [\"101\", \"8 928 111-22-33\"]\nring_seconds = 15\nmax_message_seconds = 90";
    let text = printed(&format!("{line}\n{PROVIDER}trunk = \"mtt.1\""));
    let rings = "exten => open,1,Set(CALLERID(num)=${PZ_FROM})\n same => n,Dial(PJSIP/101,15,i)\n \
                 same => n,GotoIf($[\"${DIALSTATUS}\" = \"ANSWER\"]?over,1)\n same => n,Set(CALLERID(num)=79288036355)\n \
                 same => n,Set(CALLERID(name)=)\n same => n,Dial(PJSIP/79281112233@mtt.1,15,i)\n";
    assert!(text.contains(rings), "{text}");
    assert!(text.contains("exten => begin,1,Set(PZ_MAX=90)\n"), "{text}");
    assert!(text.contains("Dial(PJSIP/${PZ_TO}@mtt.1,40,i)"));
}

#[test]
fn without_a_word_of_the_service_each_line_goes_by_its_own_hours() {
    let lines = "[[lines]]\nid = \"a\"\nnumber = \"89288036355\"\nring = [\"101\"]\nhours = { week = { mon = [\"09:00-13:00\", \"14:00-18:00\"] }, timezone = \"Asia/Omsk\" }\n\
                 [[lines]]\nid = \"b\"\nnumber = \"89288328088\"";
    let text = printed(&format!("{lines}\n{PROVIDER}"));
    let of = |id: &str| {
        text.split(&format!("[perezvon-line-{id}]\n")).nth(1).unwrap().split("\n\n").next().unwrap().to_owned()
    };
    let a = of("a");
    assert!(a.contains("GotoIfTime(09:00-12:59,mon,*,*,Asia/Omsk?open,1)"), "{a}");
    assert!(a.contains("GotoIfTime(14:00-17:59,mon,*,*,Asia/Omsk?open,1)"), "{a}");
    // Nobody to ring: whatever the clock says, the caller gets the offer.
    assert!(!of("b").contains("GotoIfTime") && !of("unknown").contains("GotoIfTime"), "{text}");
}

#[test]
fn no_name_breaks_out_of_its_comment() {
    let line = "[[lines]]\nid = \"a\"\nnumber = \"89288036355\"\ntitle = \"x\\n[globals]\\nA=1 ;--\"";
    let text = printed(&format!("{line}\n{PROVIDER}"));
    assert!(!text.lines().any(|line| line.starts_with("[globals]")), "{text}");
}

#[test]
fn every_place_of_the_template_is_filled() {
    let text = printed(PROVIDER);
    let left = ["@TRUNK@", "@NAME@", "@URL@", "@VERSION@", "@TOKEN_FILE@"];
    assert!(left.iter().all(|place| !text.contains(place)), "{text}");
}

#[test]
fn the_version_changes_with_the_lines_and_not_with_the_address() {
    let version_of = |text: &str, url: &str| {
        let config = read(text);
        let ProviderConfig::Asterisk(settings) = &config.providers[0] else { panic!() };
        version(&Exchange { settings, lines: &config.lines, url: url.to_owned() })
    };
    let usual = version_of(PROVIDER, "http://127.0.0.1:8080");
    assert_eq!(usual, version_of(PROVIDER, "https://calls.example.org"));
    assert_ne!(usual, version_of(&format!("{PROVIDER}trunk = \"other\""), "http://127.0.0.1:8080"));
}

#[test]
fn without_an_exchange_or_with_several_the_command_says_what_to_do() {
    let says = |text: &str, args: &ConfigArgs, words: &str| {
        let error = run(text, args).unwrap_err();
        assert!(error.contains(words), "{error}");
    };
    let named = |name: &str| ConfigArgs { provider: Some(name.to_owned()), ..ConfigArgs::default() };
    says("", &ConfigArgs::default(), "нет подключения с kind = \"asterisk\"");
    let two = format!("{PROVIDER}{}", PROVIDER.replace("\"asterisk\"\n    kind", "\"second\"\n    kind"));
    says(&two, &ConfigArgs::default(), "несколько: asterisk, second. Выберите одно: --provider");
    says(&two, &named("third"), "подключения third с kind = \"asterisk\" нет; есть asterisk, second");
    assert!(run(&two, &named("second")).unwrap().contains("/webhooks/second/incoming"));
}

#[test]
fn an_address_that_the_exchange_cannot_reach_is_refused() {
    let elsewhere = format!(
        "{PROVIDER}ari_base = \"https://pbx.example.org:8089/ari\"\nari_user = \"perezvon\"\nari_password = \"x\""
    );
    let error = run(&elsewhere, &ConfigArgs::default()).unwrap_err();
    assert!(error.contains("http://127.0.0.1:8080 виден только на этой машине"), "{error}");
    let given = |url: &str| ConfigArgs { url: Some(url.to_owned()), ..ConfigArgs::default() };
    assert!(
        run(&elsewhere, &given("http://10.0.0.5:8080/"))
            .unwrap()
            .contains("'http://10.0.0.5:8080/webhooks/asterisk/incoming'")
    );
    for url in ["10.0.0.5:8080", "ftp://a", "http://a/'; reboot #", "http://a/b", "http://u:p@a"] {
        assert!(run(PROVIDER, &given(url)).unwrap_err().contains("не адрес"), "{url}");
    }
}

#[test]
fn the_files_are_written_with_narrow_rights_and_a_second_time_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let said = run(PROVIDER, &into(folder.path())).unwrap();
    assert!(said.contains("Записан") && said.contains("dialplan reload"), "{said}");
    let path = |name: &str| folder.path().join(name);
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    assert_eq!(read("perezvon-token"), "Authorization: Bearer tishe-vody-nizhe-travy\n");
    assert_eq!(read("perezvon.conf"), printed(PROVIDER));
    assert_eq!((mode(&path("perezvon-token")) & 0o137, mode(&path("perezvon.conf")) & 0o137), (0, 0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    let again = run(PROVIDER, &into(folder.path())).unwrap();
    assert!(again.contains("Без изменений") && !again.contains("reload"), "{again}");
    let renewed = run(&PROVIDER.replace("tishe-vody", "nizhe-vody"), &into(folder.path())).unwrap();
    assert!(renewed.contains("Обновлён") && read("perezvon-token").contains("nizhe-vody"), "{renewed}");
}

#[test]
fn a_file_changed_by_hand_is_left_alone_until_its_owner_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("perezvon.conf");
    run(PROVIDER, &into(folder.path())).unwrap();
    let mine = format!("{}exten => 100,1,Hangup()\n", std::fs::read_to_string(&path).unwrap());
    std::fs::write(&path, &mine).unwrap();
    std::fs::remove_file(folder.path().join("perezvon-token")).unwrap();

    let error = run(PROVIDER, &into(folder.path())).unwrap_err();
    assert!(error.contains("изменён руками") && error.contains("--replace"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), mine);
    assert!(!folder.path().join("perezvon-token").exists(), "all or nothing");

    let said = run(PROVIDER, &ConfigArgs { replace: true, ..into(folder.path()) }).unwrap();
    assert!(said.contains("Заменён"), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), printed(PROVIDER));
    assert_eq!(std::fs::read_to_string(folder.path().join("perezvon.conf.old")).unwrap(), mine);
}

#[test]
fn a_folder_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (path, words) in [("missing", "недоступна: нет такого файла"), ("file", "не папка")]
    {
        std::fs::write(folder.path().join("file"), "").unwrap();
        let error = run(PROVIDER, &into(&folder.path().join(path))).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_account_of_the_service_is_written_for_the_exchange_and_an_unwritable_password_refused() {
    let ari = |password: &str| {
        format!(
            "{PROVIDER}ari_base = \"http://127.0.0.1:8088/ari\"\nari_user = \"perezvon\"\nari_password = \"{password}\""
        )
    };
    let folder = tempfile::tempdir().unwrap();
    run(&ari("sezam;otkroisya"), &into(folder.path())).unwrap();
    let text = std::fs::read_to_string(folder.path().join("perezvon-ari.conf")).unwrap();
    assert!(
        text.contains("\n[perezvon]\ntype = user\n") && text.contains("\npassword = sezam\\;otkroisya\n"),
        "{text}"
    );
    assert!(run(&ari("a\\n[general]"), &into(folder.path())).unwrap_err().contains("ari_password"));
}

/// Threat: toll fraud through the exchange itself, whoever asks it to dial.
#[test]
fn the_dialplan_dials_only_what_is_allowed() {
    let text = printed(&format!("dialing.allowed = [\"ru\", \"+374\"]\n{PROVIDER}"));
    let out = text.split("[perezvon-out]\n").nth(1).unwrap().split("[perezvon-dial]").next().unwrap();
    assert!(out.contains("exten => _7800XXXXXXX,1,Goto(perezvon-dial,${EXTEN},1)\n"), "{out}");
    assert!(out.contains("exten => _374.,1,Goto(perezvon-dial,${EXTEN},1)\n"), "{out}");
    let (_, rest) = out.split_once("exten => _X.,1,Log(WARNING,").expect("all others are told in the log");
    assert!(rest.contains("Hangup(21)") && !out.contains("Dial("), "{out}");
    let dials = text.matches("Goto(perezvon-dial,").count();
    assert_eq!(dials, exchange_rules(&["ru", "+374"]), "no other way leads there");
}

fn exchange_rules(allowed: &[&str]) -> usize {
    DialingRules::parse(allowed, 60).unwrap().patterns().count()
}
