"""What others see of a run: the dataset card."""
