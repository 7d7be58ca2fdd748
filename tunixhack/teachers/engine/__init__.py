"""What is asked for, minus what the store has, sent in blocks and stored as it comes."""
