"""Where questions come from: the Hub, local files, the package's own, and the mapping of their columns."""
