"""
Listeners: bytes in, batches of whole packets out.

Knows Twisted and `hfp.hep`; knows nothing of spool files, uplinks or filters: what it reads goes to an
`hfp.interfaces.IBatchSink`.  `Intake` joins the parts; a filter comes in as one more `hfp.interfaces.IScreen`.
"""

from hfp.intake.intake import Intake, IntakeSettings
from hfp.intake.pool import ReadPool
from hfp.intake.tcp import HepReceiver, HepReceiverFactory

__all__ = ["HepReceiver", "HepReceiverFactory", "Intake", "IntakeSettings", "ReadPool"]
