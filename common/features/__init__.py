"""Features: a contract's recipe, fitted once in training and applied the same way in serving.

Serving needs ``decode`` and ``Encoders.matrix`` and, beside numpy, nothing. Fitting lives in
``common.features.fitting``, which needs SciPy and is imported by training alone.
"""

from common.features.cells import Columns
from common.features.encoders import Encoders, decode, encode

__all__ = ["Columns", "Encoders", "decode", "encode"]
