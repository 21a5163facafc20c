//! Moved borders. The signature of this family is made over names and values without anything between them (provider contract,
//! TwiML §8.2), so whoever has caught one request can move a border and keep the signature: `CallSid=CA12`, `CallStatus=ringing`
//! becomes `CallSid=CA12CallStatusringing`, another call by its id. Ids are not checked by a pattern of their own, since every
//! dialect has another one and a new one must work: a border shows in what no id and no name looks like.

use super::Signature;
use crate::providers::form::Form;

/// What names a call or a message.
const IDS: [&str; 2] = ["CallSid", "RecordingSid"];

/// The id that cannot be the one that was signed: it has taken in the name behind it, or has given its end away to that name.
/// The order of the signed names leaves no other way.
pub(super) fn moved(signature: Signature, form: &Form) -> Option<&'static str> {
    // Telnyx signs the bytes of the body.
    if signature == Signature::Telnyx {
        return None;
    }
    let gave_away = form.names().any(begins_with_the_end_of_an_id);
    IDS.into_iter().find(|field| gave_away || form.told(field).any(has_taken_in_a_name))
}

/// `CA…afCallStatus`. The longest ids of this family that are signed so are 32 hexadecimal digits behind two capital letters
/// (Twilio) or a UUID (SignalWire, Somleng), and names are written `LikeThis`.
fn has_taken_in_a_name(id: &str) -> bool {
    let id = id.strip_prefix("CA").or_else(|| id.strip_prefix("RE")).unwrap_or(id);
    let rest = id.trim_start_matches(is_of_an_id);
    matches!(id.len() - rest.len(), 32 | 36) && rest.starts_with(|c: char| c.is_ascii_uppercase())
}

/// `afCallStatus`, `af`. A name that is sorted behind `CallSid` begins with no digit and no dash.
fn begins_with_the_end_of_an_id(name: &str) -> bool {
    let rest = name.trim_start_matches(is_of_an_id);
    rest.len() < name.len() && (rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_uppercase()))
}

fn is_of_an_id(c: char) -> bool {
    matches!(c, '0'..='9' | 'a'..='f' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "CA9f0d8c7b6a5e4f3d2c1b0a99887766af";
    const SIGNED: [(&str, &str); 6] = [
        ("AccountSid", "AC0123456789abcdef0123456789abcdef"),
        ("ApiVersion", "2010-04-01"),
        ("CallSid", ID),
        ("CallStatus", "ringing"),
        ("From", "+79280000001"),
        ("To", "+79288328088"),
    ];

    fn encoded(fields: &[(String, String)]) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    }

    /// Every form that has this concatenation in the order of its names, and another id: a border before and one behind the id,
    /// whatever is made of the rest.
    fn forgeries() -> Vec<Vec<(String, String)>> {
        let signed: String = SIGNED.iter().flat_map(|(name, value)| [*name, *value]).collect();
        let begin = signed.find(ID).unwrap();
        let front = [SIGNED[0], SIGNED[1]].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut found = Vec::new();
        for end in begin + 1..=signed.len() {
            let (id, rest) = (&signed[begin..end], &signed[end..]);
            if id == ID {
                continue;
            }
            for border in 0..=rest.len() {
                let (name, value) = rest.split_at(border);
                let is_sorted = if name.is_empty() { value.is_empty() } else { name > "CallSid" };
                if is_sorted {
                    let mut fields = front.to_vec();
                    fields.push(("CallSid".to_owned(), id.to_owned()));
                    if !name.is_empty() {
                        fields.push((name.to_owned(), value.to_owned()));
                    }
                    found.push(fields);
                }
            }
        }
        found
    }

    /// Threat: one caught request becomes many calls.
    #[test]
    fn no_other_id_fits_the_signature_unnoticed() {
        let forgeries = forgeries();
        assert!(forgeries.len() > 1000, "{}", forgeries.len());
        for fields in forgeries {
            let (encoded, (_, id)) = (encoded(&fields), &fields[2]);
            let is_noticed = [Signature::Twilio, Signature::SignalWire]
                .map(|signature| moved(signature, &Form::read(encoded.as_bytes())).is_some());
            assert_eq!(is_noticed, [true; 2], "{id}, {fields:?}");
        }
    }

    #[test]
    fn forms_of_every_dialect_have_their_borders() {
        for id in [
            ID,
            "CA1234567890ABCDE",
            "CA1",
            "2f1a3c5e-0000-4000-8000-1234567890ab",
            "2F1A3C5E-0000-4000-8000-1234567890AB",
            "call-17",
            "1732464245.17",
        ] {
            let names = [
                "DialCallStatus",
                "From",
                "FromCity",
                "Digits",
                "SipHeader_X-Id",
                "StirVerstat",
                "duration",
                "bodySHA256",
                "callSid",
            ];
            let fields: Vec<_> = [("CallSid".to_owned(), id.to_owned())]
                .into_iter()
                .chain(names.map(|name| (name.to_owned(), "1".to_owned())))
                .collect();
            assert_eq!(moved(Signature::Twilio, &Form::read(encoded(&fields).as_bytes())), None, "{id}");
        }
        let long = format!("CallSid={}{ID}", "x".repeat(270));
        assert_eq!(moved(Signature::Twilio, &Form::read(long.as_bytes())), None, "odd, and the same in every request");
        let recording = "CallSid=CA1&RecordingSid=REc0ffee&RecordingStatus=completed";
        assert_eq!(moved(Signature::Twilio, &Form::read(recording.as_bytes())), None);
        let moved_recording = "CallSid=CA1&RecordingSid=RE9f0d8c7b6a5e4f3d2c1b0a99887766afRecordingStatus&x=1";
        assert_eq!(moved(Signature::Twilio, &Form::read(moved_recording.as_bytes())), Some("RecordingSid"));
        let opaque = "CallSid=v2%3AT02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ";
        assert_eq!(moved(Signature::Telnyx, &Form::read(opaque.as_bytes())), None);
    }
}
