use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn cases(file: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len() as u64, file["count"].as_u64().unwrap());
    cases
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("{field} of {case}"))
}

fn at(unix_seconds: i64) -> Timestamp {
    Timestamp::from_second(unix_seconds).unwrap()
}

#[test]
fn every_twilio_vector_is_judged_as_the_official_validator_does() {
    let failing: Vec<String> = cases(include_str!("../../../../tests/data/twilio_signature_vectors.json"))
        .iter()
        .filter_map(|case| {
            let tokens = [text(case, "auth_token").to_owned()];
            let judged = check_form_signature(
                text(case, "url"),
                text(case, "method"),
                case["content_type"].as_str(),
                text(case, "body").as_bytes(),
                &tokens,
                text(case, "x_twilio_signature"),
            );
            let expected = case["expect_valid"].as_bool().unwrap();
            (judged.is_ok() != expected).then(|| format!("{}: {judged:?}", text(case, "id")))
        })
        .collect();
    assert!(failing.is_empty(), "{failing:#?}");
}

#[test]
fn every_telnyx_vector_is_judged_as_the_official_validator_does() {
    let failing: Vec<String> = cases(include_str!("../../../../tests/data/telnyx_signature_vectors.json"))
        .iter()
        .filter_map(|case| {
            let judged = check_ed25519_signature(
                text(case, "telnyx_timestamp"),
                text(case, "body").as_bytes(),
                &[text(case, "public_key").to_owned()],
                text(case, "telnyx_signature_ed25519"),
                at(case["now_unix"].as_i64().unwrap()),
            );
            let expected = case["expect_valid"].as_bool().unwrap();
            (judged.is_ok() != expected).then(|| format!("{}: {judged:?}", text(case, "id")))
        })
        .collect();
    assert!(failing.is_empty(), "{failing:#?}");
}

const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=UTF-8");
const URL: &str = "https://calls.example.org/webhooks/twilio/voice";

/// Signs as a provider would: over exactly this text.
fn sign(token: &str, message: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn tokens(tokens: &[&str]) -> Vec<String> {
    tokens.iter().map(|token| (*token).to_owned()).collect()
}

fn judge(url: &str, body: &str, token: &str, signed: &str) -> Result<(), Refused> {
    check_form_signature(url, "POST", FORM, body.as_bytes(), &tokens(&[token]), &sign("secret", signed))
}

/// The reason of a refusal with its hint.
fn explained(url: &str, body: &'static str, token: &str, signed: &str) -> String {
    let header = sign("secret", signed);
    let headers = [("content-type", FORM.unwrap()), ("x-twilio-signature", header.as_str())];
    let (request, tokens) = (request("POST", &headers, body), tokens(&[token]));
    let refused = check_request(Signature::Twilio, &tokens, url, &request, at(0)).unwrap_err();
    explain(Signature::Twilio, &tokens, url, &request, refused).to_string()
}

thread_local! {
    /// How many MACs this thread has made, and over how many bytes.
    static MACS: std::cell::Cell<(usize, usize)> = const { std::cell::Cell::new((0, 0)) };
}

pub(super) fn count_mac(size_bytes: usize) {
    MACS.with(|macs| macs.set((macs.get().0 + 1, macs.get().1 + size_bytes)));
}

/// How a request with these two signatures is judged, how many MACs that takes, and over how many bytes.
fn cost(fields: &[(&str, String)], signatures: [&str; 2]) -> (Result<(), Refused>, usize, usize) {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers = [
        ("content-type", FORM.unwrap()),
        ("x-signalwire-signature", signatures[0]),
        ("x-twilio-signature", signatures[1]),
    ];
    let request = RawRequest { body: body.into(), ..request("POST", &headers, "") };
    MACS.with(|macs| macs.set((0, 0)));
    let judged = check_request(Signature::SignalWire, &tokens(&["secret"]), URL, &request, at(0));
    let (macs, size_bytes) = MACS.with(std::cell::Cell::get);
    (judged, macs, size_bytes)
}

/// Threat: wrongly signed forms that cost a hundred times what genuine ones do.
#[test]
fn a_refusal_costs_at_most_twice_an_acceptance() {
    let wrong = ["AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "BAAAAAAAAAAAAAAAAAAAAAAAAAA="];
    let honest = |fields: &[(&str, String)]| {
        let mut sorted = fields.to_vec();
        sorted.sort();
        sorted.dedup();
        let message = sorted.iter().map(|(name, value)| format!("{name}{value}")).collect::<String>();
        sign("secret", &format!("{URL}{message}"))
    };
    let ordinary = vec![("CallSid", "CA1".to_owned()), ("From", "+79280000001".to_owned())];
    let large: Vec<_> = (0..200).map(|number| ("X", format!("{number:0300}"))).collect();
    // Fields that repeat in another order than the sorted one, and that were no UTF-8.
    let odd: Vec<_> = large.iter().rev().map(|(name, value)| (*name, format!("{value}\u{fffd}"))).collect();
    let odd_and_small = odd[..20].to_vec();
    let (judged, macs, largest) = cost(&large, [&honest(&large), wrong[0]]);
    assert_eq!((judged, macs), (Ok(()), 1));
    for fields in [&ordinary, &large, &odd] {
        assert_eq!(cost(fields, [wrong[0], &honest(fields)]).1, 1, "the acceptance");
        let (judged, macs, size_bytes) = cost(fields, wrong);
        assert!(judged.is_err() && macs <= 2 && size_bytes <= 2 * largest + 2000, "{macs} MACs, {size_bytes} bytes");
    }
    let (judged, macs, size_bytes) = cost(&odd_and_small, wrong);
    assert!(judged.is_err() && macs <= 8 && size_bytes <= 2 * largest, "{macs} MACs, {size_bytes} bytes");
}

/// Threat: the search for the reason of a refusal, which costs as much as thirty acceptances, made by strangers.
#[test]
fn a_form_of_too_many_fields_is_looked_at_once() {
    let fields = vec![("X", "1".to_owned()); 9000];
    let wrong = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let (judged, macs, _) = cost(&fields, [wrong, wrong]);
    assert_eq!((judged, macs), (Err(Refused::TooManyFields), 1));
    let honest = sign("secret", &format!("{URL}X1"));
    assert_eq!(cost(&fields, [&honest, wrong]).0, Ok(()), "a provider that really sends it is believed");
}

#[test]
fn any_of_the_tokens_may_have_signed_while_they_rotate() {
    let header = sign("new", &format!("{URL}CallSidCA1"));
    for (known, accepted) in [(vec!["old", "new"], true), (vec!["new", "old"], true), (vec!["old"], false)] {
        let judged = check_form_signature(URL, "POST", FORM, b"CallSid=CA1", &tokens(&known), &header);
        assert_eq!(judged.is_ok(), accepted, "{known:?}");
    }
}

#[test]
fn an_empty_token_signs_nothing() {
    let header = sign("", &format!("{URL}CallSidCA1"));
    for known in [vec![], vec![""], vec!["", " "]] {
        let judged = check_form_signature(URL, "POST", FORM, b"CallSid=CA1", &tokens(&known), &header);
        assert_eq!(judged, Err(Refused::NoSecret), "{known:?}");
    }
}

#[test]
fn bytes_that_are_no_text_may_be_signed_as_they_were_sent() {
    let (url, body) =
        ("https://calls.example.org/webhooks/twilio/voice", b"CallSid=CA1&CallerName=%CC%E0+x\xe9%".as_slice());
    let judged = |sent: &[(&[u8], &[u8])]| {
        let fields: Vec<&(&[u8], &[u8])> = sent.iter().collect();
        let header = STANDARD.encode(signed("secret", url, &fields).finalize().into_bytes());
        let form = Some("application/x-www-form-urlencoded");
        check_form_signature(url, "POST", form, body, &["secret".to_owned()], &header)
    };
    assert_eq!(judged(&[(b"CallSid", b"CA1"), (b"CallerName", b"\xcc\xe0 x\xe9%")]), Ok(()));
    assert_eq!(judged(&[(b"CallSid", b"CA1"), (b"CallerName", "\u{FFFD}\u{FFFD} x\u{FFFD}%".as_bytes())]), Ok(()));
    assert!(judged(&[(b"CallSid", b"CA1"), (b"CallerName", b"\xcc\xe0 x\xea%")]).is_err());
}

#[test]
fn a_repeated_key_may_be_signed_distinct_and_sorted_or_as_it_comes() {
    let body = "A=2&A=1&A=2&B=x";
    assert!(judge(URL, body, "secret", &format!("{URL}A1A2Bx")).is_ok());
    assert!(judge(URL, body, "secret", &format!("{URL}A2A1A2Bx")).is_ok());
    assert!(judge(URL, body, "secret", &format!("{URL}A1Bx")).is_err());
}

#[test]
fn every_spelling_of_the_port_is_tried_and_the_password_stays_in() {
    for (url, signed) in [
        ("https://a.example/x", "https://a.example:443/x"),
        ("https://a.example:443/x", "https://a.example/x"),
        ("http://a.example", "http://a.example:80"),
        ("https://a.example:8443/x?y=1", "https://a.example/x?y=1"),
        ("https://user:pa:ss@a.example/x", "https://user:pa:ss@a.example:443/x"),
        ("https://user:pass@a.example:8443/x", "https://user:pass@a.example/x"),
        ("https://[2a00::1]/x", "https://[2a00::1]:443/x"),
        ("https://[2a00::1]:443/x", "https://[2a00::1]/x"),
        ("https://a.example/x@y:1", "https://a.example:443/x@y:1"),
        ("https://a.example/x#fragment", "https://a.example/x"),
    ] {
        assert_eq!(judge(url, "", "secret", signed), Ok(()), "{url}");
    }
    assert!(judge("https://user:pass@a.example/x", "", "secret", "https://a.example/x").is_err());
}

#[test]
fn a_refusal_says_what_would_have_fitted() {
    let body = "CallSid=CA1&CallToken=t&StirVerstat=s";
    let form = "CallSidCA1CallTokentStirVerstats";
    for (signed, words) in [
        (format!("http://calls.example.org/webhooks/twilio/voice?b=1&a=2{form}"), "http instead of https"),
        (format!("{URL}/?b=1&a=2{form}"), "slash at the end"),
        (format!("{URL}{form}"), "without the query"),
        (format!("{URL}?a=2&b=1{form}"), "alphabetical"),
        (format!("{URL}?b=1&a=2CallSidCA1StirVerstats"), "without the field CallToken"),
        (format!("{URL}?b=1&a=2CallSidCA1CallTokent"), "without the field StirVerstat"),
        (format!("{URL}?b=1&a=2CallSidCA1"), "without the fields CallToken and StirVerstat"),
        (format!("{URL}?b=1&a=2"), "the address alone"),
        (format!("{URL}?b=1&a=2CallSidCA2"), "the secret is another one"),
    ] {
        let refused = explained(&format!("{URL}?b=1&a=2"), body, "secret", &signed);
        assert!(refused.contains(words), "{signed}: {refused}");
    }
    let refused = explained(URL, "CallSid=CA1", "secret ", &format!("{URL}CallSidCA1"));
    assert!(refused.contains("blanks"), "{refused}");
}

#[test]
fn a_refusal_tells_neither_password_nor_query_nor_form() {
    let url = "https://user:hunter2@calls.example.org/webhooks/twilio/voice?From=%2B79280000001";
    let refused = explained(url, "Secret=form", "token-in-use", "");
    assert!(refused.contains("https://…@calls.example.org/webhooks/twilio/voice?…"), "{refused}");
    for secret in ["hunter2", "79280000001", "form=", "token-in-use"] {
        assert!(!refused.contains(secret), "{refused}");
    }
}

#[test]
fn a_body_that_is_no_form_needs_its_hash_in_the_address() {
    let judge = |url: &str, body: &[u8]| {
        let header = sign("secret", url);
        check_form_signature(url, "POST", Some("application/json"), body, &tokens(&["secret"]), &header)
    };
    assert_eq!(judge(URL, b"{}"), Err(Refused::BodyNotSigned));
    assert_eq!(judge(URL, b""), Ok(()));
    let hashed = format!("{URL}?bodySHA256={}", hex(&Sha256::digest(b"{}")));
    assert_eq!(judge(&hashed, b"{}"), Ok(()));
    assert_eq!(judge(&hashed, b"[]"), Err(Refused::BodyChanged));
}

fn request(method: &str, headers: &[(&str, &str)], body: &'static str) -> RawRequest {
    RawRequest {
        method: method.to_owned(),
        target: String::new(),
        endpoint: String::new(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.into(),
    }
}

#[test]
fn each_signature_looks_for_its_own_header() {
    let header = sign("secret", &format!("{URL}CallSidCA1"));
    let judge = |signature: Signature, name: &str| {
        let request = request("POST", &[(name, &header)], "CallSid=CA1");
        check_request(signature, &tokens(&["secret"]), URL, &request, at(0))
    };
    assert_eq!(judge(Signature::Twilio, "x-twilio-signature"), Ok(()));
    assert_eq!(judge(Signature::Twilio, "x-signalwire-signature"), Err(Refused::MissingHeader(TWILIO_HEADER)));
    assert_eq!(judge(Signature::SignalWire, "x-signalwire-signature"), Ok(()));
    assert_eq!(judge(Signature::SignalWire, "x-twilio-signature"), Ok(()));
    assert_eq!(judge(Signature::SignalWire, "x-signature"), Err(Refused::MissingHeader(SIGNALWIRE_HEADER)));
    assert_eq!(judge(Signature::Telnyx, "x-twilio-signature"), Err(Refused::MissingHeader(TELNYX_HEADER)));
}

#[test]
fn the_unsigned_query_of_a_telnyx_get_proves_nothing() {
    let case = &cases(include_str!("../../../../tests/data/telnyx_signature_vectors.json"))[2];
    let headers =
        [(TELNYX_HEADER, text(case, "telnyx_signature_ed25519")), (TELNYX_TIMESTAMP, text(case, "telnyx_timestamp"))];
    let keys = [text(case, "public_key").to_owned()];
    let now = at(case["now_unix"].as_i64().unwrap());
    let judge = |method| check_request(Signature::Telnyx, &keys, URL, &request(method, &headers, ""), now);
    assert_eq!(judge("POST"), Ok(()));
    assert_eq!(judge("GET"), Err(Refused::QueryNotSigned));
}

#[test]
fn a_telnyx_signature_holds_for_300_seconds_both_ways() {
    let case = &cases(include_str!("../../../../tests/data/telnyx_signature_vectors.json"))[0];
    let judge = |timestamp: &str, keys: &[&str], header: &str, now: i64| {
        check_ed25519_signature(timestamp, text(case, "body").as_bytes(), &tokens(keys), header, at(now))
    };
    let (timestamp, key) = (text(case, "telnyx_timestamp"), text(case, "public_key"));
    let header = text(case, "telnyx_signature_ed25519");
    let signed_at: i64 = timestamp.parse().unwrap();
    for (age, judged) in
        [(300, Ok(())), (-300, Ok(())), (301, Err(Refused::TooOld(301))), (-301, Err(Refused::TooNew(301)))]
    {
        assert_eq!(judge(timestamp, &[key], header, signed_at + age), judged);
    }
    assert_eq!(judge(timestamp, &["bm90IGEga2V5", key], header, signed_at), Ok(()));
    assert_eq!(judge(timestamp, &["bm90IGEga2V5"], header, signed_at), Err(Refused::UnreadableKey));
    assert_eq!(judge(timestamp, &[], header, signed_at), Err(Refused::NoSecret));
    assert_eq!(judge(timestamp, &[key], "AAAA", signed_at), Err(Refused::UnreadableHeader(TELNYX_HEADER)));
    for nonsense in ["", "-1", "+1763999045", "1763999045.0", "9999999999999999999"] {
        let judged = judge(nonsense, &[key], header, signed_at);
        assert_eq!(judged, Err(Refused::UnreadableHeader(TELNYX_TIMESTAMP)), "{nonsense}");
    }
}

proptest! {
    #[test]
    fn no_request_at_all_is_too_much_for_the_check(url in ".{0,60}", header in ".{0,40}", body: Vec<u8>) {
        let headers = vec![
            ("x-twilio-signature".to_owned(), header.clone()),
            ("telnyx-signature-ed25519".to_owned(), header.clone()),
            ("telnyx-timestamp".to_owned(), header),
        ];
        let request = RawRequest {
            method: "POST".to_owned(), target: String::new(), endpoint: String::new(), headers, body: body.into(),
        };
        for signature in [Signature::Twilio, Signature::SignalWire, Signature::Telnyx] {
            prop_assert!(check_request(signature, &["secret".to_owned()], &url, &request, at(0)).is_err());
        }
    }
}

#[test]
fn the_signature_is_the_one_of_the_official_example() {
    let form = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
        ("Caller", "+14158675309"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let signed = form_signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", &form);
    assert_eq!(signed, "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
}
