"""Duplicates: exact, near and semantic indexes over signatures, incremental and reversible.

signatures/<source> -> exact.py    (same bytes, same bytes but for case and white space)
                    -> bands.py -> verify.py -> near.py   (MinHash candidates, exact Jaccard)
                    -> semantic.py                        (SemDeDup over survivors)
all three           -> survivors.py                       (what the mixes must leave out)
"""
