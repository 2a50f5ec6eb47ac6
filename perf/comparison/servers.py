"""What stands behind the targets: the far end of culvert-load, redis, PostgreSQL, a web server, a VNC server."""

import os

from common import Failed, ROOT, eventually, free_port, wait_listening
from database import Database

from .targets import LOOPBACK


def generator():
    """The culvert-load to measure with."""
    path = os.environ.get("CULVERT_LOAD") or os.path.join(ROOT, ".build", "release", "culvert-load")
    if not os.access(path, os.X_OK):
        raise Failed(f"{path} is no program: build it with `swift build -c release --product culvert-load`")
    return path


class Servers:
    """Started when they are first asked for; they end with the stage."""

    def __init__(self, stage):
        self.stage = stage
        self.started = {}
        self.database = None

    def back(self, name, cpu=None):
        """(address, port) of one; on a processor of its own if that is given."""
        if (name, cpu) not in self.started:
            port = free_port()
            child = getattr(self, "start_" + name)(f"{name}-{cpu}", port, cpu)
            if child:
                wait_listening(child, port, 30)
            else:
                port = self.database.port
            self.started[name, cpu] = port
        return LOOPBACK, self.started[name, cpu]

    def start_load(self, label, port, cpu):
        threads = [] if cpu is None else ["--threads", "1"]
        return self.stage.start(label, [generator(), "serve", "--load", str(port)] + threads, cpu=cpu)

    def start_echo(self, label, port, cpu):
        return self.stage.start(label, [generator(), "serve", "--echo", str(port), "--threads", "1"], cpu=cpu)

    def start_redis(self, label, port, cpu):
        return self.stage.start(label, [
            "redis-server", "--port", str(port), "--bind", LOOPBACK, "--save", "", "--dir", self.stage.directory], cpu=cpu)

    def start_database(self, label, port, cpu):
        """Has its own way of starting, and its port."""
        self.database = Database(self.stage)

    def start_web(self, label, port, cpu):
        html = self.stage.path("html")
        os.makedirs(html, exist_ok=True)
        self.stage.write("html/index.html", "x" * 64)
        places = "".join(f"  {name}_temp_path {self.stage.path(name)};\n"
                         for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        configuration = self.stage.write(f"{label}.conf", f"""\
worker_processes 1;
daemon off;
pid {self.stage.path(label + ".pid")};
error_log stderr;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
{places}  server {{ listen {LOOPBACK}:{port}; root {html}; }}
}}
""")
        return self.stage.start(label, ["/usr/sbin/nginx", "-e", "stderr", "-c", configuration], cpu=cpu)

    def start_vnc(self, label, port, cpu):
        """A screen with nothing on it but its pattern: what is measured is the way of the pictures."""
        display = next(number for number in range(50, 1000) if not os.path.exists(f"/tmp/.X{number}-lock"))
        child = self.stage.start(label, [
            "Xtigervnc", f":{display}", "-rfbport", str(port), "-localhost", "-SecurityTypes", "None", "-geometry",
            "1024x768", "-depth", "24", "-FrameRate", "120", "-nolisten", "tcp"], cpu=cpu)
        eventually("Xtigervnc listens", lambda: "Listening for VNC" in self.stage.log(label) or child.poll() is not None)
        return child
