//! Passwords: hashed with Argon2id, made by the service, compared in constant time.
