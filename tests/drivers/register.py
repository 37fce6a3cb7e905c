"""Writes numbered rows over several connections until it is told to stop, and says which ones were acknowledged.

One argument: how many clients. Lines that it reads: "mark" (answered with "first" and the seconds until the next
write is acknowledged), "stop". Lines that it writes: "ready" once each client has written, and at the end a JSON
object: "acknowledged" and "unknown" (how many each client has written, and which numbers it doesn't know of),
"errors" (SQLSTATE and text of each), "idle" (what became of a client that did nothing meanwhile), "slowest" (seconds
that a write took at most).
"""

import json
import sys
import threading
import time

import psycopg

clients = int(sys.argv[1])
stopping = threading.Event()
lock = threading.Lock()
marks = []
began = [0] * clients
result = {"acknowledged": [[] for _ in range(clients)], "unknown": [[] for _ in range(clients)], "errors": [],
          "slowest": 0.0}


def say(line):
    print(line, flush=True)


def write(conn, client, number):
    with conn.transaction():
        conn.execute("INSERT INTO register VALUES (%s, %s)", (client, number))
        conn.execute("UPDATE counters SET value = value + 1 WHERE client = %s", (client,))


def work(client):
    conn, number = None, 0
    while not stopping.is_set():
        number += 1
        since = time.monotonic()
        try:
            conn = conn or psycopg.connect(autocommit=True)
            write(conn, client, number)
        except psycopg.Error as error:
            with lock:
                result["unknown"][client].append(number)
                result["errors"].append([error.sqlstate, str(error)])
            if conn is not None:
                conn.close()
            conn = None
            stopping.wait(0.01)
            continue
        now = time.monotonic()
        with lock:
            result["acknowledged"][client].append(number)
            result["slowest"] = max(result["slowest"], now - since)
            began[client] += 1
            while marks:
                say(f"first {now - marks.pop():.3f}")
    if conn is not None:
        conn.close()


idle = psycopg.connect(autocommit=True)
idle.execute("SELECT 1")
threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
for thread in threads:
    thread.start()
while not all(began):
    time.sleep(0.01)
say("ready")
for line in sys.stdin:
    if line.strip() == "mark":
        with lock:
            marks.append(time.monotonic())
    if line.strip() == "stop":
        break
stopping.set()
for thread in threads:
    thread.join()
try:
    idle.execute("SELECT 1")
    result["idle"] = "served"
except psycopg.Error as error:
    result["idle"] = str(error)
say(json.dumps(result))
