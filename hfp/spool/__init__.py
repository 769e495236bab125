"""
The durable log: every batch that came in, on disk until each remote has confirmed it.

A batch is opaque here: this room knows no HEP and no sockets.  `Spool` is the door; the rest, from the disk upwards:

``files``, ``memory``
    the file system, and a file in memory that stands in for one.
``format``, ``slots``, ``walk``
    what is on disk: octets, the small files of two slots, the records of one segment.
``segment``, ``segments``, ``store``
    a segment, all of them in a row, and their files: new, spare, put aside, and the room that they take.
``cursor``, ``cursors``
    a remote's place in the log, and how it is kept.
``log``, ``eviction``, ``policy``
    appending, and who loses what when there is no room.
``reader``
    reading, past whatever damage there is.
``run``, ``sync``
    making durable what is at risk.
``recovery``
    what is found at the start.
``spool``, ``waiters``
    all of it together, and the Deferreds that wait for it.
"""

from hfp.spool.cursor import Cursor
from hfp.spool.policy import FullPolicy
from hfp.spool.position import Position
from hfp.spool.reader import Chunk, Reader
from hfp.spool.spool import Spool

__all__ = ["Chunk", "Cursor", "FullPolicy", "Position", "Reader", "Spool"]
