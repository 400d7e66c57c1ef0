"""What dialling keeps: lists, contacts, attempts, do-not-call, callbacks, the state of campaigns.

``Outbound`` is the service's way in. The functions of the modules here work on any connection, within the caller's
transaction: commands without the service use them too. Knows the domain's words and no other room.
"""
