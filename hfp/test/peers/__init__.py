"""
The two ends that hfp stands between, as small real programs: a sender of SIP call traffic and a strict collector.

``traffic``
    builds stamped HEP3 packets: each carries its sender, its number and a CRC.
``ledger``
    what a collector has taken, in a file that outlives the collector's death by SIGKILL.
``sender``, ``collector``
    the programs: ``python -m hfp.test.peers.sender --help``, ``python -m hfp.test.peers.collector --help``.
``console``
    how both take orders, a line each, on their standard input.

The integration tests and the demonstration use them.  They know HEP's frame and nothing of hfp's own code, so that
a mistake in hfp cannot hide behind the same mistake here.
"""
