"""The bake-off: the same questions to several teachers, or with several prompts, with the results side by side."""
