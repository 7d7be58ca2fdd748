"""The sources of questions: the Hub, local files, the package's own, and the mapping of their columns."""
