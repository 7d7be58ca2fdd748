"""Evaluation: which answers are right, how good each arm is, and whether one is better than another."""
