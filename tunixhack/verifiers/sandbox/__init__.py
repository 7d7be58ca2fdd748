"""Code of models, run where it can neither reach nor change anything: one process for each answer."""
