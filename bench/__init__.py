"""
What hfp costs, beside haproxy in TCP mode, measured in one run: ``python -m bench`` from the checkout's root.

Not part of the installed package, and no test: it judges nothing but what it prints, and never fails for being slow.

=================  ====================================================================================================
module             its one idea
=================  ====================================================================================================
``__main__``       the command line
``plan``           how much of what is measured: the full run and the quick one
``cases/``         one module per thing measured; each returns rows for the table
``relays``         what is compared: hfp, haproxy and no relay at all, each started and stopped in the same way
``load``           the load generator and the collector, C programs in ``src/``, as Python objects
``session``        what all cases of one run share
``variants``       the same load through several set-ups, in turn
``rig``            one relay with a collector behind it and a generator before it, and what one sending cost
``meters``         the CPU time and the memory of a process
``layout``         who runs on which CPU
``quiet``          what else runs on the machine, and how it is kept out of the figures
``children``       child processes: pinned, bounded by timeouts, never left behind
``packet``         the packets of 600 octets that are sent
``certificate``    what TLS is measured with
``build``          the C compiler
``figures``        samples, targets and rows
``report``         the rows as text, reST and JSON
``machine``        what the figures were measured on
=================  ====================================================================================================

The relay has one CPU to itself, everything else the others, in the same way for both relays. The CPU time is that of
the relay's own process with all its threads; starting, connecting and a first warming load are left out.
"""
