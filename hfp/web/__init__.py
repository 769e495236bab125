"""
The page that Prometheus scrapes.  Knows a registry, and nothing of what is counted in it or how.
"""

from hfp.web.page import site

__all__ = ["site"]
