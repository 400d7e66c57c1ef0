"""When silence may be believed. Who stood still (a frozen process, a machine that was paused) and wakes when a deadline is
over has not heard yet what was said meanwhile; it lies unread in the connection to Asterisk. So a deadline that concludes
from what was not heard is looked at twice: at the first look it only waits on, and the second counts if it comes in time.
"""

from typing import Final

SECOND_LOOK_S: Final = 2.0
"""From the first look to the second: time to read what came meanwhile."""

LATE_S: Final = 0.5
"""A second look that comes so late shows that we stood still again."""
