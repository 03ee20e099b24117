"""Dead letters: seen without being lost or used up, sent back, or thrown away.

Works over plain receives, sends and deletes: SQS's own StartMessageMoveTask has no filter, keeps
the reasons on, leaves the stored failure in the way, and is missing in other engines.
"""

from common.deadletters.browse import Browse
from common.deadletters.letter import Contents, DeadLetter, contents, read_letter
from common.deadletters.office import DeadLetterOffice, QueueState, open_office
from common.deadletters.pace import Pace
from common.deadletters.passes import Failure, PassReport
from common.deadletters.redrive import Redrive, StoredResult
from common.deadletters.selection import ALL, Selection

__all__ = [
    "ALL",
    "Browse",
    "Contents",
    "DeadLetter",
    "DeadLetterOffice",
    "Failure",
    "Pace",
    "PassReport",
    "QueueState",
    "Redrive",
    "Selection",
    "StoredResult",
    "contents",
    "open_office",
    "read_letter",
]
