"""The helpers that all subpackages use and no user imports: files, processes, texts, progress, the environment."""
