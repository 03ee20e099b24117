"""The Python client of the HTTP service, and the ``carimbo`` command."""

from client.api import Client, LabelledRow, Model, Prediction, ServiceError

__all__ = ["Client", "LabelledRow", "Model", "Prediction", "ServiceError"]
