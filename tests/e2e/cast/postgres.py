# SPDX-License-Identifier: MIT
"""A PostgreSQL of Debian's, of the test's own: it is stopped, killed and
started again at the test's will; and a wire to it that can be cut."""

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from cast.proxy import plain_environment, unused_port
from cast.waiting import wait_until

[PROGRAMS, *_] = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)

# Its own disk is not what is tested.
CONFIG = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
fsync = off
log_min_messages = log
"""

# No password for who makes the databases; one for the fleet.
HBA = """
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""

PASSWORD = "a:secret/of@theirs"


def as_postgres():
    """Its server will not run as root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Postgres:
    def __init__(self):
        self.port = unused_port()
        self.directory = tempfile.mkdtemp(prefix="postgres.", dir="/tmp")
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres")
        self._data = f"{self.directory}/data"
        self._process = None
        subprocess.run(
            [f"{PROGRAMS}/initdb", "-D", self._data, "-U", "postgres",
             "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C"],
            check=True, capture_output=True, cwd="/", **as_postgres())
        for name, text in (("postgresql.conf", CONFIG), ("pg_hba.conf", HBA)):
            with open(f"{self._data}/{name}",
                      "a" if name == "postgresql.conf" else "w") as file:
                file.write(text.format(port=self.port))
        self.start()
        self.sql("CREATE ROLE fleet LOGIN PASSWORD "
                 f"'{PASSWORD}'", database="postgres")

    def start(self):
        with open(f"{self.directory}/log", "ab") as log:
            self._process = subprocess.Popen(
                [f"{PROGRAMS}/postgres", "-D", self._data], stdout=log,
                stderr=log, stdin=subprocess.DEVNULL, cwd="/",
                **as_postgres())
        wait_until(self._answers, "PostgreSQL answers")

    def _answers(self):
        return subprocess.run(
            [f"{PROGRAMS}/pg_isready", "-q", "-h", "127.0.0.1", "-p",
             str(self.port)]).returncode == 0

    def stop(self, how=signal.SIGINT):
        """SIGINT is a fast shutdown; SIGQUIT an immediate one, as a crash."""
        self._process.send_signal(how)
        self._process.wait(20)

    def close(self):
        if self._process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory)

    def sql(self, text, database="fleet"):
        """Returns the rows, as lists of strings; None is NULL."""
        done = subprocess.run(
            [f"{PROGRAMS}/psql", "-XqAtv", "ON_ERROR_STOP=1", "-F", "\x1f",
             "-R", "\x1e", "-P", "null=\x1d", "-h", "127.0.0.1", "-p",
             str(self.port), "-U", "postgres", "-d", database, "-c", text],
            capture_output=True, text=True, timeout=30,
            env=plain_environment())
        assert done.returncode == 0, done.stderr
        return [[None if field == "\x1d" else field
                 for field in row.split("\x1f")]
                for row in done.stdout.rstrip("\n").split("\x1e") if row]

    def number(self, text):
        return int(self.sql(text)[0][0])

    def tables(self, pattern):
        """How many of leakproxy's there are."""
        return self.number("SELECT count(*) FROM pg_tables WHERE schemaname ="
                           f" 'leakproxy' AND tablename LIKE '{pattern}'")

    def new_database(self, name="fleet"):
        """An empty one, of a server that runs."""
        if self._process.poll() is not None:
            self.start()
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", "postgres")
        self.sql(f"CREATE DATABASE {name} OWNER fleet", "postgres")

    def url(self, port=None, database="fleet", user="fleet"):
        return (f"postgresql://{user}@127.0.0.1:{port or self.port}"
                f"/{database}?sslmode=disable&gssencmode=disable")


class Wire:
    """Between a proxy and the server.  Told to, it cuts the connection once
    the server has committed and before anybody hears of it; or passes nothing
    any more, from the next COMMIT on, and closes nothing."""

    COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"

    def __init__(self, port):
        self._port = port
        self.commits_to_lose = 0
        self.lost = 0
        self.falls_silent = False
        self.is_silent = False
        self._is_closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,),
                                 daemon=True).start()

    def _serve(self, client):
        with client, contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self._port)) as server:
                threading.Thread(target=self._pass_back,
                                 args=(server, client), daemon=True).start()
                self._pass_on(client, server)

    def _pass_on(self, client, server):
        while data := client.recv(65536):
            if data.endswith(self.COMMIT) and self.falls_silent:
                self.is_silent = True
            if self.is_silent:
                self._is_closed.wait()
                return
            if data.endswith(self.COMMIT) and self.commits_to_lose > 0:
                self.commits_to_lose -= 1
                client.shutdown(socket.SHUT_RDWR)
                server.sendall(data)
                server.shutdown(socket.SHUT_WR)
                # It ends after the last command that it has read.
                while server.recv(65536):
                    pass
                self.lost += 1
                return
            server.sendall(data)

    @staticmethod
    def _pass_back(server, client):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._is_closed.set()
        self._listener.close()
