"""The optimization itself: trainer, loss, devices, checkpoints, memory."""
