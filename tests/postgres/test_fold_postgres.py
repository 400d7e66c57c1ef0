"""Folding against the reference, on PostgreSQL."""

from test_fold import test_cut_in_another_way_or_finished_late_it_is_the_same, test_folding_changes_nothing  # noqa: F401
