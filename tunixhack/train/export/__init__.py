"""A trained student for others: merged safetensors, Orbax as the hackathon loads it, GGUF for llama.cpp."""
