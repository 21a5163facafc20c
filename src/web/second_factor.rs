//! The second factor (RFC 6238): six digits of an authenticator app that change every 30 seconds, and recovery codes for
//! the day the telephone is lost.

use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret, Totp};

use super::password::{LETTERS, random};
use crate::time::Timestamp;

/// Recovery codes that one person gets.
pub const CODES: usize = 8;
/// Letters of a recovery code, 5 bits each: nobody finds one by trying hashes.
const CODE_LETTERS: usize = 16;

/// A secret that an app and the house are about to share.
pub struct Shared(Secret);

impl Shared {
    /// 160 random bits, as the RFC recommends.
    pub fn generate() -> Self {
        Self(Secret::from(random::<20>()))
    }

    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Secret::from(bytes))
    }

    /// `None`: not what [`Shared::to_base32`] wrote.
    pub fn from_base32(text: &str) -> Option<Self> {
        Secret::try_from_base32(text).ok().map(Self)
    }

    /// As it is typed into an app by hand.
    pub fn to_base32(&self) -> String {
        self.0.to_base32()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.as_ref().to_vec()
    }

    /// The number of the 30 s step whose code this is: the present one, or one beside it, for clocks differ. `None`: it is
    /// none of them. Who accepts it must accept no step twice.
    pub fn step(&self, code: &str, at: Timestamp) -> Option<i64> {
        self.totp("").check(code, seconds(at)).and_then(|step| i64::try_from(step).ok())
    }

    /// What an app reads: an `otpauth:` link with the person's login.
    pub fn link(&self, login: &str) -> Option<String> {
        // A colon would end the name of the issuer.
        self.totp(&login.replace(':', " ")).to_url().ok()
    }

    fn totp(&self, login: &str) -> Totp {
        Builder::new()
            .with_secret(self.0.clone())
            .with_account_name(login)
            .with_issuer(Some("Перезвон"))
            .build_noncompliant()
    }
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}

/// New recovery codes, to be shown once: `abcd-efgh-jkmn-pqrs`.
pub fn recovery_codes() -> Vec<String> {
    (0..CODES)
        .map(|_| {
            let letters: Vec<char> =
                random::<CODE_LETTERS>().iter().map(|byte| char::from(LETTERS[usize::from(*byte % 32)])).collect();
            let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
            groups.join("-")
        })
        .collect()
}

/// What is kept of a recovery code, however it is typed.
pub fn kept_code(typed: &str) -> Vec<u8> {
    let bare: String = typed.to_lowercase().chars().filter(|letter| letter.is_alphanumeric()).collect();
    Sha256::digest(bare).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appendix B of the RFC, SHA-1, cut to six digits.
    #[test]
    fn the_codes_are_those_of_the_rfc() {
        let shared = Shared::from_bytes(b"12345678901234567890");
        for (at, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924")] {
            let at = Timestamp::from_second(at).unwrap();
            assert_eq!(shared.step(code, at), Some(at.as_second() / 30), "{code}");
        }
    }

    #[test]
    fn a_code_holds_one_step_before_and_after_its_own() {
        let shared = Shared::from_bytes(b"12345678901234567890");
        for (at, step) in [(29, None), (30, Some(2)), (60, Some(2)), (89, Some(2)), (119, Some(2)), (120, None)] {
            // The code of step 2, from 60 to 89 s.
            let code = shared.totp("").generate(60).to_string();
            assert_eq!(shared.step(&code, Timestamp::from_second(at).unwrap()), step, "{at}");
        }
        for code in ["", "28708", "2870820", "abcdef", "２８７０８２"] {
            assert_eq!(shared.step(code, Timestamp::from_second(59).unwrap()), None, "{code}");
        }
    }

    #[test]
    fn an_app_is_told_whose_the_secret_is() {
        let shared = Shared::generate();
        let link = shared.link("madina:1").unwrap();
        assert!(link.starts_with("otpauth://totp/"), "{link}");
        assert!(link.contains(&format!("secret={}", shared.to_base32())), "{link}");
        let back = Shared::from_base32(&shared.to_base32()).unwrap();
        assert_eq!(back.bytes(), shared.bytes());
    }

    #[test]
    fn a_recovery_code_is_known_however_it_is_typed() {
        let codes = recovery_codes();
        assert_eq!(codes.len(), CODES);
        assert_eq!(kept_code(&codes[0]), kept_code(&codes[0].to_uppercase().replace('-', " ")));
        assert_ne!(kept_code(&codes[0]), kept_code(&codes[1]));
    }
}
