"""The ``carimbo`` command and the Python client."""
