//! Passwords and token secrets: made by the service, kept only as hashes.
//!
//! [`hash`] and [`verify`] are slow on purpose (about 30 ms and 19 MiB each): async callers run them in
//! `spawn_blocking`.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use sha2::{Digest, Sha256};

/// Letters and digits that nobody confuses when reading a password aloud: no `l`, `1`, `o`, `0`. 32 of them: 5 bits
/// each.
pub(super) const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The longest password that is looked at, in bytes. Longer ones are wrong; hashing megabytes would be a gift to
/// attackers.
const LONGEST: usize = 1024;

/// The password as Argon2id in PHC text, with a salt of its own.
pub fn hash(password: &str) -> String {
    Argon2::default()
        .hash_password(password.as_bytes())
        .expect("the default parameters are valid, and without random numbers nobody may be let in")
        .to_string()
}

/// Whether the password is the one that was hashed. A hash that cannot be read fits nothing.
pub fn verify(password: &str, phc: &str) -> bool {
    password.len() <= LONGEST
        && PasswordHash::new(phc)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// A password of 100 random bits in groups that can be read over the telephone: `kx3fm-7hq2a-…`.
pub fn generate() -> String {
    let letters: Vec<char> = random::<20>().iter().map(|byte| char::from(LETTERS[usize::from(*byte % 32)])).collect();
    let groups: Vec<String> = letters.chunks(5).map(|group| group.iter().collect()).collect();
    groups.join("-")
}

/// The secret of an API token (256 random bits), to be shown once, and its SHA-256, to be kept.
pub fn generate_token() -> (String, Vec<u8>) {
    let secret = format!("perezvon_{}", hex(&random::<32>()));
    let digest = Sha256::digest(&secret).to_vec();
    (secret, digest)
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random numbers: without them no secret may be made");
    bytes
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_fits_its_hash() {
        let phc = hash("пароль Мадины");
        assert!(phc.starts_with("$argon2id$"), "{phc}");
        assert!(verify("пароль Мадины", &phc));
        assert!(!verify("пароль мадины", &phc));
        assert!(!verify("", &phc));
        assert!(!verify(&"я".repeat(LONGEST), &phc));
        assert_ne!(phc, hash("пароль Мадины"), "each hash has its own salt");
    }

    #[test]
    fn a_hash_that_cannot_be_read_lets_nobody_in() {
        for phc in ["", "!", "$argon2id$", "пароль"] {
            assert!(!verify("", phc) && !verify(phc, phc), "{phc}");
        }
    }

    #[test]
    fn a_made_password_can_be_read_aloud_and_has_a_hundred_bits() {
        let password = generate();
        assert_eq!(password.split('-').map(str::len).collect::<Vec<_>>(), [5, 5, 5, 5]);
        assert!(password.bytes().all(|letter| letter == b'-' || LETTERS.contains(&letter)), "{password}");
        assert_ne!(password, generate());
    }

    #[test]
    fn of_a_token_only_the_digest_is_kept() {
        let (secret, digest) = generate_token();
        assert_eq!(digest, Sha256::digest(&secret).to_vec());
        assert_ne!(secret, generate_token().0);
    }
}
