//! Pure codecs: raw bytes → verified → call events, and scripts → replies. One provider family a file.
