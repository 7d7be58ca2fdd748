"""Teachers: the models that answer, the ways to reach them, and the store of their answers."""
