"""The AWS calls that every file makes, sent without botocore's general machinery.

A call through that machinery (parameter serialisers, endpoint rules, event hooks, signers) takes
about a millisecond of CPU, and a file needs half a dozen calls. The five operations of the hot
path are fixed, so here they are written out. Everything else stays aiobotocore's:
credentials and their renewal, regions, endpoints, and every other operation. See
``docs/decisions/0008-the-hot-calls-written-out.md``.
"""

from common.aws_wire.s3 import LeanS3
from common.aws_wire.sqs import LeanSqs
from common.aws_wire.wire import OnCall, Wire, open_wire

__all__ = ["LeanS3", "LeanSqs", "OnCall", "Wire", "open_wire"]
