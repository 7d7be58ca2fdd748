"""The doctor's examination of this machine: what it has to train on, and what is wrong with it."""
