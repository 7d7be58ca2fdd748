"""Publishing a run: the dataset card, and the Hub."""
