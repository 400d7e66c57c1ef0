"""The words: ids, states, events, commands, records, definitions, errors.

Only stdlib and only data. Whatever decides lives in ``routing`` and ``floor``; whatever does lives in an adapter.
"""
