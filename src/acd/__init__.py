"""acd: an asyncio service that sits beside Asterisk and turns it into a call centre."""

__version__ = "0.1.0"
