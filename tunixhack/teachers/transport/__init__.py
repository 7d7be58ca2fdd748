"""One request on its way: Curator, HTTP, retries, concurrency, and what went wrong."""
