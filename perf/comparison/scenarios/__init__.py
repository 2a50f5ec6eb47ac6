"""Every scenario by its name, in the order in which they run."""

from .base import Plan
from .clients import Clients
from .exchanges import Churn, Requests
from .idle import Idle
from .outage import Outage
from .streams import Streams
from .vnc import VNC

SCENARIOS = {scenario.name: scenario for scenario in [
    Streams("streams", "tunnel"),
    Requests("requests", "tunnel"),
    Churn("churn", "tunnel"),
    Idle("idle", "tunnel"),
    Clients("clients", "tunnel"),
    VNC("vnc", "tunnel"),
    Outage("outage", "tunnel"),
    Streams("relay-streams", "plain"),
    Requests("relay-requests", "plain"),
    Churn("relay-churn", "plain"),
    Idle("relay-idle", "plain"),
]}
