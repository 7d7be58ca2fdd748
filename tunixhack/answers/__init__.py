"""Steps on answers: reading a teacher's choice, dropping repeats, keeping to a budget, and formats for other tools."""
