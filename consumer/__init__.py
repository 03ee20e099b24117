"""The workers: requests in from the queue, predictions stored and answered."""
