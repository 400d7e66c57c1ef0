"""The lab: a private Asterisk, its phones and callers, and a database, on any Debian machine and without root.

For the demo, for tests and benchmarks, and for trying a configuration against real calls before it goes near a PBX.
Nothing of the service itself may live here. This file imports nothing: a bare Python imports parts of the package.
"""
