"""The registry of teachers, from a teacher's name to its address: presets, discovery, prices, models."""
