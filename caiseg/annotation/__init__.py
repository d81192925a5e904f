"""A person's annotation of one scan: what they did, and the masks that it gives.

Nothing here knows of a browser or a network's insides, so the app and the command line replay the
same session to the same masks.
"""
