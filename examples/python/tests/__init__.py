"""Run with ``python3 -m unittest`` in the directory above."""

import logging

# what the bots say is no part of a test's report
logging.getLogger("chatd_bot").addHandler(logging.NullHandler())
logging.getLogger("chatd_bot").propagate = False
