"""Files by which a scheduler runs the shards of a build."""
