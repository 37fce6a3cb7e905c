"""Many psycopg connections whose statements move between few server connections.

Takes libpq's environment variables, and PORTCULLIS_SERVERS: how many server connections there are at most.
Each thread has a connection of its own and reads its own results, whoever had the server connection before.
"""

import os
import threading
import traceback

import psycopg
from psycopg import sql

THREADS = 12
ROUNDS = 30
TEXTS = [
    ("SELECT %s::text, pg_backend_pid()", lambda me, n: (me,), lambda me, n: me),
    ("SELECT %s::int * 2, pg_backend_pid()", lambda me, n: (n,), lambda me, n: n * 2),
    ("SELECT %s::text || %s::int, pg_backend_pid()", lambda me, n: (me, n), lambda me, n: f"{me}{n}"),
    ("SELECT length(repeat(%s::text, %s::int)), pg_backend_pid()", lambda me, n: (me, 9), lambda me, n: len(me) * 9),
    ("SELECT (now() IS NOT NULL)::int + %s::int, pg_backend_pid()", lambda me, n: (n,), lambda me, n: n + 1),
    ("SELECT upper(%s::text), pg_backend_pid()", lambda me, n: (me,), lambda me, n: me.upper()),
]

seen = {}
failures = []


def same(is_, wanted):
    if is_ != wanted:
        raise AssertionError(f"{is_!r} instead of {wanted!r}")


def ask(conn, me, number):
    text, values, wanted = TEXTS[number % len(TEXTS)]
    value, pid = conn.execute(text, values(me, number)).fetchone()
    same(value, wanted(me, number))
    seen.setdefault(me, set()).add(pid)


def statements(conn, me):
    for number in range(ROUNDS):
        ask(conn, me, number)


def transactions(conn, me):
    for number in range(ROUNDS // 3):
        with conn.transaction():
            ask(conn, me, number)
            try:
                with conn.transaction():
                    conn.execute("SELECT 1 / %s::int", (0,))
            except psycopg.errors.DivisionByZero:
                pass
            ask(conn, me, number + 1)


def pipelines(conn, me):
    for _ in range(5):
        with conn.pipeline():
            cursors = [conn.execute("SELECT %s::text, %s::int", (me, n)) for n in range(60)]
        same([cursor.fetchone() for cursor in cursors], [(me, n) for n in range(60)])


def own_texts(conn, me):
    # Each connection has statements that no other has.
    for number in range(ROUNDS):
        text = sql.SQL("SELECT {}, %s::int").format(sql.Literal(f"{me}-{number % 7}"))
        same(conn.execute(text, (number,)).fetchone(), (f"{me}-{number % 7}", number))


def deallocate(conn, me):
    for _ in range(5):
        conn.execute("DEALLOCATE ALL", prepare=False)
        conn._prepared.clear()
        statements(conn, me)
        break


def copies(conn, me):
    for number in range(3):
        with conn.cursor() as cursor:
            with cursor.copy("COPY pooled_rows FROM STDIN") as into:
                for row in range(50):
                    into.write_row((me, number * 50 + row))
            with cursor.copy("COPY (SELECT number FROM pooled_rows WHERE owner = %s) TO STDOUT", (me,)) as out:
                same(sum(1 for _ in out.rows()), (number + 1) * 50)


def work(number):
    me = f"client{number}"
    try:
        with psycopg.connect(autocommit=True, application_name=me) as conn:
            conn.prepare_threshold = number % 3
            conn.prepared_max = [2, 4, 100][number % 3]
            for step in (statements, transactions, pipelines, own_texts, deallocate, copies, statements):
                try:
                    step(conn, me)
                except Exception:
                    failures.append(f"{me} at {step.__name__}: {traceback.format_exc()}")
                    return
            same(conn.execute("SHOW application_name").fetchone(), (me,))
    except Exception:
        failures.append(f"{me}: {traceback.format_exc()}")


def main():
    with psycopg.connect(autocommit=True) as conn:
        conn.execute("CREATE TABLE pooled_rows (owner text, number int)")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, "\n".join(failures)
    servers = set().union(*seen.values())
    assert len(servers) <= int(os.environ["PORTCULLIS_SERVERS"]), servers
    assert any(len(pids) > 1 for pids in seen.values()), f"nothing moved: {seen}"


main()
