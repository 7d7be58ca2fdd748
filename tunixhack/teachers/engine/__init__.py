"""The engine: it asks for what is wanted and not yet in the store, in blocks, and stores answers as they come."""
