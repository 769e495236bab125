"""Tests with real sockets, real processes and real third-party programs; each is bounded in time."""
