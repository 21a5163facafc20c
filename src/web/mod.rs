//! Everything that arrives over HTTP.
