"""The embedded teacher: llama.cpp as a child process, and its model file."""
