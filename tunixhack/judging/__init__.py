"""Judges of what cannot be checked: what they are asked, and what they say."""
