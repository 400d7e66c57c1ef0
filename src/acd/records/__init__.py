"""Trust in the records, and the personal data in them: whether they keep their rules, how long what is kept, what is known
of a person and how it is taken away.

Long work over a whole database, SQLite or PostgreSQL, beside a running service: in short transactions, with bounded
memory, and never on the event loop. Knows the domain's words and the store's tables.
"""
