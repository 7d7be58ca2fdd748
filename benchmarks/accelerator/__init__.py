"""Training and asking on an accelerator, beside what a user would take instead: one script, one table.

    python -m benchmarks.accelerator [--minutes 8] [--shape 1b] [--out FOLDER] [--only NAME,NAME]

See the section on it in benchmarks/README.md.
"""
