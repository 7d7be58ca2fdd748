"""Steps on questions, from their source to what is worth sixteen answers: mapping, deduplication, the length filter."""
