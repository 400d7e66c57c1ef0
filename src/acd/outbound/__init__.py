"""Dialling as it runs: campaigns, the contacts they have claimed, the attempts in flight, what the trunks bear.

``core`` decides (events in, actions out; no clock, no IO); ``runtime`` is the thin part around it that asks the store, tells
the wire and listens to the floor.
"""
