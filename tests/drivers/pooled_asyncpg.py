"""Many asyncpg connections, and a pool of them, whose statements move between few server connections.

Takes PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLROOTCERT and PORTCULLIS_SERVERS.
"""

import asyncio
import os
import ssl

import asyncpg

CLIENTS = 12
ROUNDS = 30

seen = {}


def options():
    return {
        "host": os.environ["PGHOST"],
        "port": int(os.environ["PGPORT"]),
        "user": os.environ["PGUSER"],
        "password": os.environ["PGPASSWORD"],
        "database": os.environ["PGDATABASE"],
        "ssl": ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"]),
        "timeout": 60,
    }


def same(is_, wanted):
    if is_ != wanted:
        raise AssertionError(f"{is_!r} instead of {wanted!r}")


async def cached(conn, me):
    for number in range(ROUNDS):
        row = await conn.fetchrow("SELECT $1::text AS me, $2::int AS n, pg_backend_pid() AS pid", me, number)
        same((row["me"], row["n"]), (me, number))
        seen.setdefault(me, set()).add(row["pid"])
        same(await conn.fetchval(f"SELECT {number % 5} + $1::int", number), number % 5 + number)


async def prepared(conn, me):
    one = await conn.prepare(f"SELECT '{me}', $1::int")
    two = await conn.prepare("SELECT $1::text[]")
    for number in range(ROUNDS):
        same(tuple(await one.fetchrow(number)), (me, number))
        same(await two.fetchval([me, "x"]), [me, "x"])


async def transactions(conn, me):
    for number in range(10):
        async with conn.transaction():
            await conn.execute("INSERT INTO pooled_rows VALUES ($1, $2)", me, number)
            try:
                async with conn.transaction():
                    await conn.fetchval("SELECT 1 / $1::int", 0)
            except asyncpg.DivisionByZeroError:
                pass
            rows = [row["n"] async for row in conn.cursor("SELECT generate_series(1, $1::int) AS n", 120)]
            same(rows, list(range(1, 121)))
    same(await conn.fetchval("SELECT count(*) FROM pooled_rows WHERE owner = $1", me), 10)


async def batches(conn, me):
    await conn.executemany("INSERT INTO pooled_rows VALUES ($1, $2)", [(me, n) for n in range(100)])
    await conn.copy_records_to_table("pooled_rows", records=[(me, n) for n in range(100)])
    same(await conn.fetchval("SELECT count(*) FROM pooled_rows WHERE owner = $1", me), 210)


async def types(conn, me):
    # asyncpg asks for types that it doesn't know, and keeps the answer.
    same(await conn.fetchval("SELECT $1::pooled_mood", "glad"), "glad")
    row = await conn.fetchval("SELECT ROW($1::text, 1)::pooled_pair", me)
    same(tuple(row), (me, 1))


async def work(number):
    me = f"client{number}"
    size = [3, 100, 100][number % 3]
    conn = await asyncpg.connect(**options(), statement_cache_size=size)
    try:
        for step in (cached, prepared, transactions, batches, types, cached):
            try:
                await step(conn, me)
            except Exception as error:
                raise AssertionError(f"{me} at {step.__name__}") from error
    finally:
        await conn.close()


async def pooled(pool, number):
    me = f"pooled{number}"
    for turn in range(10):
        # On release the pool resets the connection: advisory locks, cursors, channels, parameters.
        async with pool.acquire() as conn:
            same(await conn.fetchval("SELECT $1::text", me), me)
            same(await conn.fetchval("SHOW work_mem"), "4MB")
            await conn.execute("SET work_mem = '9MB'")
            same(await conn.fetchval("SHOW work_mem"), "9MB")


async def main():
    conn = await asyncpg.connect(**options())
    await conn.execute("CREATE TABLE pooled_rows (owner text, number int)")
    await conn.execute("CREATE TYPE pooled_mood AS ENUM ('glad', 'sad')")
    await conn.execute("CREATE TYPE pooled_pair AS (a text, b int)")
    await conn.close()
    await asyncio.gather(*(work(number) for number in range(CLIENTS)))
    servers = set().union(*seen.values())
    assert len(servers) <= int(os.environ["PORTCULLIS_SERVERS"]), servers
    assert any(len(pids) > 1 for pids in seen.values()), f"nothing moved: {seen}"
    async with asyncpg.create_pool(**options(), min_size=6, max_size=6) as pool:
        await asyncio.gather(*(pooled(pool, number) for number in range(12)))


asyncio.run(main())
