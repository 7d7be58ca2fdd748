"""From a dataset to a student that shows its work; nothing here imports Curator."""
