"""One short file per public benchmark: how its columns are read, who is asked like whom, and how often."""
