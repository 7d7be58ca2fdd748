"""What a training tells: metrics, samples, validation, the model card."""
