"""The bake-off: the same questions to several teachers, or with several prompts, and what came of it side by side."""
