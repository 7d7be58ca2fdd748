"""The checks of whether an answer says what a reference says: mathematics, letters of options, texts."""
