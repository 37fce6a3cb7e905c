"""Puts psycopg (and with it libpq) through its paces.

Takes libpq's environment variables (PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE,
PGSSLMODE, PGSSLROOTCERT, PGSSLNEGOTIATION, PGCHANNELBINDING). Prints each step and
exits non-zero with the reason when one fails.
"""

import os
import sys
import threading
import traceback

import psycopg
from psycopg import sql

ROWS = 1000
BIG_BYTES = 16 * 1024 * 1024


def same(seen, wanted):
    if seen != wanted:
        raise AssertionError(f"{str(seen)[:200]!r} instead of {str(wanted)[:200]!r}")


def tls(conn):
    same(bool(conn.pgconn.ssl_in_use), True)
    same(conn.execute("SELECT current_user").fetchone(), (os.environ["PGUSER"],))


def simple(conn):
    result = conn.pgconn.exec_(b"SELECT 1; SELECT 'two', NULL")
    same(result.get_value(0, 0), b"two")
    same(result.get_value(0, 1), None)


def extended(conn):
    same(conn.execute("SELECT %s::int + 1, %s::text", (41, "é")).fetchone(), (42, "é"))
    with conn.cursor(binary=True) as cursor:
        same(cursor.execute("SELECT %s::bytea", (b"\0\xff",)).fetchone(), (b"\0\xff",))


def prepared(conn):
    for number in range(20):
        row = conn.execute("SELECT %s::int * 2", (number,), prepare=True).fetchone()
        same(row, (number * 2,))


def cursor(conn):
    with conn.transaction(), conn.cursor("portal") as portal:
        portal.itersize = 10
        portal.execute("SELECT * FROM generate_series(1, 95)")
        same(sum(row[0] for row in portal), 4560)


def pipeline(conn):
    with conn.pipeline():
        cursors = [conn.execute("SELECT %s::int", (number,)) for number in range(500)]
    same([cursor.fetchone()[0] for cursor in cursors], list(range(500)))


def pipeline_abort(conn):
    try:
        with conn.pipeline() as pipe:
            conn.execute("SELECT 1")
            conn.execute("SELECT 1 / %s::int", (0,))
            conn.execute("SELECT 2")
            pipe.sync()
        raise AssertionError("the pipeline swallowed its error")
    except psycopg.errors.DivisionByZero:
        pass
    same(conn.execute("SELECT 3").fetchone(), (3,))


def copy(conn):
    conn.execute("CREATE TEMP TABLE copied (id int, name text)")
    with conn.cursor() as cursor:
        with cursor.copy("COPY copied FROM STDIN") as into:
            for number in range(ROWS):
                into.write_row((number, f"name {number}"))
        with cursor.copy("COPY copied TO STDOUT") as out:
            same(sum(1 for _ in out.rows()), ROWS)
        same(cursor.execute("SELECT sum(id) FROM copied").fetchone(), (ROWS * (ROWS - 1) // 2,))


def copy_failure(conn):
    try:
        with conn.cursor() as cursor, cursor.copy("COPY copied FROM STDIN") as into:
            into.write("not a number\tx\n")
        raise AssertionError("COPY took text for a number")
    except psycopg.errors.InvalidTextRepresentation:
        pass
    try:
        with conn.cursor() as cursor, cursor.copy("COPY copied FROM STDIN") as into:
            into.write("1\tx\n")
            raise KeyError("the client gives up")
    except KeyError:
        pass
    same(conn.execute("SELECT count(*) FROM copied").fetchone(), (ROWS,))


def cancel(conn):
    # cancel_safe encrypts the request; the older cancel() sends it in clear text.
    timer = threading.Timer(0.2, conn.cancel_safe)
    timer.start()
    try:
        conn.execute("SELECT pg_sleep(60)")
        raise AssertionError("the query was not cancelled")
    except psycopg.errors.QueryCanceled:
        pass
    timer.join()
    same(conn.execute("SELECT 1").fetchone(), (1,))


def notifications(conn):
    channel = f"channel_{conn.info.backend_pid}"
    conn.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
    with psycopg.connect(autocommit=True) as other:
        other.execute("SELECT pg_notify(%s, 'hello')", (channel,))
        notices = conn.notifies(timeout=30, stop_after=1)
        seen = list(notices)
        same([notice.payload for notice in seen], ["hello"])
        # Connections that share servers have a process id that no server has.
        if other.execute("SELECT pg_backend_pid()").fetchone() == (other.info.backend_pid,):
            same(seen[0].pid, other.info.backend_pid)


def large_objects(conn):
    payload = bytes(range(256)) * 64
    with conn.transaction():
        oid = conn.execute("SELECT lo_from_bytea(0, %s)", (payload,)).fetchone()[0]
        same(conn.execute("SELECT lo_get(%s)", (oid,)).fetchone(), (payload,))
        conn.execute("SELECT lo_unlink(%s)", (oid,))


def errors(conn):
    for query, state in [
        ("SELEC", "42601"),
        ("SELECT * FROM missing_table", "42P01"),
        ("SELECT 1/0", "22012"),
        ("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = 'AB123'; END $$", "AB123"),
    ]:
        try:
            conn.execute(query)
            raise AssertionError(f"{query} succeeded")
        except psycopg.Error as error:
            same(error.sqlstate, state)
        same(conn.execute("SELECT 1").fetchone(), (1,))


def transactions(conn):
    try:
        with conn.transaction():
            conn.execute("CREATE TEMP TABLE undone (id int)")
            raise KeyError
    except KeyError:
        pass
    same(conn.execute("SELECT to_regclass('undone')").fetchone(), (None,))
    with conn.transaction():
        try:
            with conn.transaction():
                conn.execute("SELECT 1/0")
        except psycopg.errors.DivisionByZero:
            pass
        same(conn.execute("SELECT 1").fetchone(), (1,))


def notices(conn):
    seen = []
    conn.add_notice_handler(lambda notice: seen.append(notice.message_primary))
    conn.execute("DO $$ BEGIN FOR i IN 1..100 LOOP RAISE NOTICE 'n%', i; END LOOP; END $$")
    same(seen, [f"n{number}" for number in range(1, 101)])


def big_rows(conn):
    text = "x" * BIG_BYTES
    row = conn.execute("SELECT %s::text, length(%s)", (text, text)).fetchone()
    same((len(row[0]), row[1]), (BIG_BYTES, BIG_BYTES))
    count = sum(1 for _ in conn.execute("SELECT repeat('y', 1000) FROM generate_series(1, 20000)"))
    same(count, 20000)


def parameters(conn):
    conn.execute("SET application_name = 'renamed'")
    same(conn.info.parameter_status("application_name"), "renamed")
    conn.execute("RESET application_name")
    # Behind a pooler the value that the session began with may be reported after the answer.
    conn.execute("SELECT 1")
    same(conn.info.parameter_status("application_name"), "driver")


STEPS = [
    tls,
    simple,
    extended,
    prepared,
    cursor,
    pipeline,
    pipeline_abort,
    copy,
    copy_failure,
    cancel,
    notifications,
    large_objects,
    errors,
    transactions,
    notices,
    big_rows,
    parameters,
]


def main():
    with psycopg.connect(autocommit=True, application_name="driver") as conn:
        for step in STEPS:
            try:
                step(conn)
            except Exception:
                traceback.print_exc()
                sys.exit(f"psycopg failed at: {step.__name__}")
            print("ok", step.__name__)


main()
