"""
Where hfp finds the filter.  Imported whenever hfp looks for filters, so it imports the filter itself only to build one.
"""

from __future__ import annotations

from zope.interface import implementer

from hfp.interfaces import FilterContext, IFilter, IFilterFactory


@implementer(IFilterFactory)
class _Factory:
    """Makes the filter."""

    name = "example"
    help = "passes only SIP from or to some number prefixes: example:prefix=+49,0049[:other=reject]"

    def build(self, arguments: str, context: FilterContext) -> IFilter:
        """See `hfp.interfaces.IFilterFactory`."""
        from hfp_filter_example import build

        made: IFilter = build(arguments)
        return made


factory = _Factory()
