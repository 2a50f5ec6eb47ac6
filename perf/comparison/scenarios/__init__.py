"""Every scenario by its name, in the order in which they run."""

from .clients import Clients
from .exchanges import Churn, Requests
from .idle import Idle
from .links import LONG, LOSSY, SLOW, LinkScenario
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
    LinkScenario("link-long", LONG),
    LinkScenario("link-slow", SLOW),
    LinkScenario("link-lossy", LOSSY),
]}
LINKS = [name for name, scenario in SCENARIOS.items() if isinstance(scenario, LinkScenario)]
# Of --quick: the others take longer than all the rest together.
QUICK = [name for name in SCENARIOS if name not in ("link-long", "link-lossy", "vnc", "relay-idle")]
# What a name on the command line may stand for besides one scenario.
GROUPS = {
    "links": LINKS,
    "relays": [name for name in SCENARIOS if name.startswith("relay-")],
    "tunnels": [name for name in SCENARIOS if not name.startswith(("relay-", "link-"))],
}
