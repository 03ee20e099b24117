"""What the services must agree on about callbacks: the order to deliver one, and the guard."""

from common.callbacks.guard import CallbackPolicy, CallbackRefused, check_callback_url
from common.callbacks.orders import CallbackOrder

__all__ = ["CallbackOrder", "CallbackPolicy", "CallbackRefused", "check_callback_url"]
