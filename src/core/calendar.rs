//! The working calendar of a line.
