"""Students: families of models, their files and their tokenizers."""
