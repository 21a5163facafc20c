-- Whether a callback has a word is asked callback by callback.
CREATE INDEX callback_word_by_callback ON callback_word (callback_id, word);
