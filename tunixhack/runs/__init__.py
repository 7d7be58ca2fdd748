"""The folder of one build: its answer store, its tables, its record, and how they are shown."""
