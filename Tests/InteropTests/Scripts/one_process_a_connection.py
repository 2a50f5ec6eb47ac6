"""Starts a program for each connection, with the connection as its standard input and output: what inetd does.

usage: one_process_a_connection.py PORT PROGRAM [ARGUMENT...]
"""

import socket
import subprocess
import sys

doors = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", file=sys.stderr, flush=True)
while True:
    connection, _ = doors.accept()
    subprocess.Popen(sys.argv[2:], stdin=connection, stdout=connection)
    connection.close()
