"""From a teacher's name to an address: presets, discovery, prices, models."""
