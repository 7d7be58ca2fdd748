"""How hypothesis tries its examples: the same ones each time, and for as long as they take."""

from __future__ import annotations

from hypothesis import HealthCheck

SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much)
"""Complaints that depend on how busy the machine is, or on luck."""
ONE_FIXTURE = (*SLOW, HealthCheck.function_scoped_fixture)
"""The same, for a test whose examples share one fixture and take that into account."""
