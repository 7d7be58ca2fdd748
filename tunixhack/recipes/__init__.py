"""One short file per domain: where its questions come from, how a teacher is asked, and which steps follow."""
