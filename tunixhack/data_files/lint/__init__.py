"""Faults of training rows: which there are, how they are found, and which of them can be mended."""
