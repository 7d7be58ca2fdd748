"""Asking a student, and whether its replies have the format."""
