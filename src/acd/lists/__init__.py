"""Lists of people to be called, and of people not to be: read from files as others write them, whatever is in them.

Every row of a file is accounted for exactly once: it became a contact, it was one already, or it was turned away for a
reason that is kept with it. Knows the domain's words and the store, and no other room.
"""
