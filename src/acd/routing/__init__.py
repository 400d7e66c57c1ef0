"""Matching of requirements to agents. Pure: no IO, no clock, no channels; a waiting thing need not be a phone call."""
