"""Duplicates: exact, near and semantic indexes over signatures, incremental and reversible.

Reading order: `signatures.py` makes what the indexes read; `exact.py` groups equal content;
`bands.py` finds candidates, `verify.py` proves them and `near.py` keeps pairs and index current;
`semantic.py` prunes survivors by embedding; `survivors.py` says what mixes must leave out.
"""
