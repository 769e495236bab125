"""
Where filters are found: the built-in ones, and whatever other packages put beside them.

A package adds filters by bringing modules for ``hfp/plugins/`` of its own (a folder without ``__init__.py``) in which
objects provide `hfp.interfaces.IFilterFactory`; ``docs/writing-filters.rst`` shows how.
"""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
__all__: list[str] = []
