"""The reports of a training: metrics, samples, validation, the model card."""
