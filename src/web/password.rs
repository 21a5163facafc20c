//! Passwords and token secrets: made by the service, kept only as hashes.
//!
//! [`hash`] and [`verify`] are slow on purpose (about 30 ms and 19 MiB each): async callers run them in a `WorkQueue`.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use sha2::{Digest, Sha256};

/// Letters and digits that nobody confuses when reading a password aloud: no `l`, `1`, `o`, `0`. 32 of them: 5 bits
/// each.
pub(super) const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The longest password that is looked at, in bytes. Longer ones are wrong; hashing megabytes would be a gift to
/// attackers.
const LONGEST: usize = 1024;

/// Blocks of 1 KiB reserved for one hash, however few of them it uses.
///
/// glibc gives an allocation above 32 MiB, the upper end of its moving threshold, pages of its own, and returns them to the
/// system when it is freed. A smaller one, such as the 19 MiB that a hash uses, it keeps in the arena of whichever thread made
/// it: ten sign-ins left 205 MB. Pages that are reserved and never written cost nothing. Measured: tests/stories/sign_in.rs.
const RESERVED_BLOCKS: usize = 34 * 1024;

/// The password as Argon2id in PHC text, with a salt of its own.
pub fn hash(password: &str) -> String {
    hash_with(Params::default(), password)
        .expect("the default parameters are valid, and without random numbers nobody may be let in")
        .to_string()
}

fn hash_with(params: Params, password: &str) -> Option<PasswordHash> {
    let salt = Salt::new(&random::<16>()).ok()?;
    let (algorithm, version) = (Algorithm::default(), Version::default());
    Some(PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(&params).ok()?,
        salt: Some(salt),
        hash: Some(output(Argon2::new(algorithm, version, params), password, &salt)?),
    })
}

/// Whether the password is the one that was hashed, with whatever parameters it was. A hash that cannot be read fits nothing.
pub fn verify(password: &str, phc: &str) -> bool {
    password.len() <= LONGEST && fits(password, phc).unwrap_or(false)
}

fn fits(password: &str, phc: &str) -> Option<bool> {
    let hash = PasswordHash::new(phc).ok()?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&hash).ok()?);
    // `Output` compares in constant time.
    Some(output(argon2, password, &hash.salt?)? == hash.hash?)
}

fn output(argon2: Argon2<'_>, password: &str, salt: &[u8]) -> Option<Output> {
    let block_count = argon2.params().block_count();
    let mut blocks = Vec::with_capacity(block_count.max(RESERVED_BLOCKS));
    blocks.resize(block_count, Block::new());
    let mut bytes = [0; Output::MAX_LENGTH];
    let bytes = bytes.get_mut(..argon2.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN))?;
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, bytes, &mut blocks).ok()?;
    Output::new(bytes).ok()
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
    use argon2::{PasswordHasher, PasswordVerifier};

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

    /// What stood in the table before memory was our own: made by the library alone.
    #[test]
    fn hashes_with_other_parameters_still_fit() {
        let stored = "$argon2id$v=19$m=19456,t=2,p=1$";
        assert!(hash("x").starts_with(stored), "{}", hash("x"));
        let by_the_library = Argon2::default().hash_password("пароль Мадины".as_bytes()).unwrap().to_string();
        assert!(verify("пароль Мадины", &by_the_library) && !verify("пароль", &by_the_library), "{by_the_library}");
        for params in [Params::new(64, 3, 2, Some(24)), Params::new(40 * 1024, 1, 1, None)] {
            let phc = hash_with(params.unwrap(), "пароль Мадины").unwrap().to_string();
            assert!(verify("пароль Мадины", &phc) && !verify("пароль", &phc), "{phc}");
            let parsed = PasswordHash::new(&phc).unwrap();
            assert!(Argon2::default().verify_password("пароль Мадины".as_bytes(), &parsed).is_ok(), "{phc}");
        }
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
