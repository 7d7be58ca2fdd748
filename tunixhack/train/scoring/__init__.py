"""Answers as a student sees them before it learns: scores by one forward pass, and the step that chooses by them."""
