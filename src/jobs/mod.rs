//! What must happen later and may not be forgotten.
