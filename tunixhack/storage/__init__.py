"""Runs that are kept on an object store: worked on in a folder of this machine, and carried there meanwhile."""
