"""The families of students, one file each: how each one's hidden states come about."""
