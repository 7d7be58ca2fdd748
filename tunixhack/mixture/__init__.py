"""Mixtures: several recipes' questions, decided together, and a run of each."""
