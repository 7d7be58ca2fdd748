"""What this machine has to train on, and what is wrong with it."""
