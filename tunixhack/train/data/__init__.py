"""The data of a training: from datasets to packed batches of tokens."""
