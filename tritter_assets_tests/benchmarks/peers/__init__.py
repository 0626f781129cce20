"""Ready-made near-dedup tools, each in a virtual environment of its own, measured in a child.

One script a tool, run with the tool's Python; `requirements/<tool>.txt` pins what it needs.
"""
