"""One training from its beginning or last checkpoint to its end."""
