"""Work on files of training rows that somebody already has."""
