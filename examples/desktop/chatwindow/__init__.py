"""A window onto chatd, on Python's standard library alone.

`model`, `words`, `paths` and `client` know nothing of Tk and are tested without a screen; everything else draws.
"""

VERSION = "0.1.0"
