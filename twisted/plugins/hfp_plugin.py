"""Tells ``twistd`` of the command ``hfp``; imports nothing of hfp, because every ``twistd`` run may import this."""

from twisted.application.service import ServiceMaker

hfp = ServiceMaker("hfp", "hfp.tap", "A HEP fidelity proxy: relays HEP through a disk spool and loses nothing.", "hfp")
