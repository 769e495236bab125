"""
The demonstration: ``python -m demo``, or ``make demo``.

A collector, hfp and a sender of SIP call traffic on loopback; the collector and hfp are killed with SIGKILL and
started again; in the end every packet is accounted for.  It needs no root, no network and under 40 s, and ends with 0
if nothing was lost, or else with 1.
"""
