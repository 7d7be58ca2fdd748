"""From datasets to packed batches of tokens."""
