"""Folding against the reference, on PostgreSQL."""

from test_fold import test_folding_changes_nothing  # noqa: F401
