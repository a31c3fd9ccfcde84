"""Which modules of a Python source tree are used.

``ophamin.seeing.wiring.census.take_census`` looks at a tree; ``ophamin.seeing.wiring.report.report_wiring`` makes a
signed record of what it saw.

The import graph is read from the syntax trees of the files. Grimp, the well-kept library for import graphs, was tried
against the task and does not fit it: it asks for packages that can be imported (a checkout need not be installed),
stops at the first file with a syntax error, and knows nothing of tests beside the package, dynamic imports, entry
points, or files that are in no package.
"""

__all__: list[str] = []
