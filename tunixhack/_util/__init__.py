"""What every room uses and no user imports: files, processes, texts, progress, the environment."""
