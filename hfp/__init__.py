"""
hfp, a HEP Fidelity Proxy: takes HEP from SIP servers and capture agents, journals it, and gets every packet to
the collectors.

The rooms, in the way of the data; each one's docstring says what it does not know:

``hfp.hep``
    the protocol, sans I/O: framing, constants, building.
``hfp.intake``
    listeners: bytes in, batches of whole packets out.
``hfp.spool``
    the durable log, its cursors and their readers: opaque batches on disk.
``hfp.uplink``
    one connection to one collector, kept up, with confirmed delivery.
``hfp.service``
    the only module that joins those rooms.
``hfp.options``, ``hfp.settings``, ``hfp.tap``
    the command line, as one frozen ``Settings``, and what ``twistd`` starts; ``hfp.optiontable`` has the options,
    ``hfp.optionvalues``, ``hfp.addresses``, ``hfp.networks``, ``hfp.parts``, ``hfp.quantities`` and ``hfp.secrets``
    read their values, ``hfp.preflight`` (with ``hfp.loops``) looks whether the machine allows it.
``hfp.tls``, ``hfp.links``
    TLS: contexts from files, for each listener and remote.
``hfp.status``, ``hfp.metrics``, ``hfp.web``
    what each room says of itself, the catalogue of metrics, the page for Prometheus.
``hfp.errors``, ``hfp.logs``
    what goes wrong and how it is said.

``docs/architecture.rst`` shows how they fit together and why.
"""

__version__ = "0.1.0"
