"""
The filters that hfp brings along: a module for each, with a function ``build(arguments, context)``.

`hfp.plugins.hfp_builtin` is where they are found; it imports a module when its filter is used.  ``docs/filters`` has a
page for each.
"""
