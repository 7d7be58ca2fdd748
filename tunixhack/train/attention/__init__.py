"""Attention of packed rows: one computation for each kind of device, all with the same call."""
