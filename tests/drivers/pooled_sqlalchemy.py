"""SQLAlchemy over psycopg and asyncpg, with its own pool in front of shared server connections.

Takes libpq's environment variables.
"""

import asyncio
import os
import ssl
import threading
import traceback

from sqlalchemy import Column, Integer, String, create_engine, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session

THREADS = 10
ROUNDS = 12


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "orm_rows"
    id = Column(Integer, primary_key=True)
    owner = Column(String, nullable=False)
    number = Column(Integer, nullable=False)


def url(driver):
    return URL.create(
        f"postgresql+{driver}",
        username=os.environ["PGUSER"],
        password=os.environ["PGPASSWORD"],
        host=os.environ["PGHOST"],
        port=int(os.environ["PGPORT"]),
        database=os.environ["PGDATABASE"],
    )


def same(is_, wanted):
    if is_ != wanted:
        raise AssertionError(f"{is_!r} instead of {wanted!r}")


def work(engine, me, failures):
    try:
        for number in range(ROUNDS):
            with Session(engine) as session, session.begin():
                session.add_all(Row(owner=me, number=number * 10 + more) for more in range(10))
            with Session(engine) as session:
                query = select(func.count(), func.max(Row.number)).where(Row.owner == me)
                same(tuple(session.execute(query).one()), ((number + 1) * 10, number * 10 + 9))
                rows = session.scalars(select(Row).where(Row.owner == me).order_by(Row.number)).all()
                same([row.number for row in rows], list(range((number + 1) * 10)))
            try:
                with Session(engine) as session, session.begin():
                    session.add(Row(owner=None, number=1))
                raise AssertionError("NULL was taken")
            except IntegrityError:
                pass
            with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
                same(conn.execute(text("SHOW transaction_isolation")).scalar(), "repeatable read")
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
                same(conn.execute(text("SELECT :me"), {"me": me}).scalar(), me)
    except Exception:
        failures.append(f"{me}: {traceback.format_exc()}")


def threads():
    engine = create_engine(url("psycopg"), pool_size=THREADS, pool_pre_ping=True)
    Base.metadata.create_all(engine)
    failures = []
    workers = [threading.Thread(target=work, args=(engine, f"thread{n}", failures)) for n in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    engine.dispose()
    assert not failures, "\n".join(failures)


async def task(engine, me):
    for number in range(ROUNDS):
        async with AsyncSession(engine) as session, session.begin():
            session.add_all([Row(owner=me, number=number * 10 + more) for more in range(10)])
        async with AsyncSession(engine) as session:
            query = select(func.count()).where(Row.owner == me)
            same((await session.execute(query)).scalar(), (number + 1) * 10)
            try:
                await session.execute(text("SELECT 1 / :zero"), {"zero": 0})
                raise AssertionError("a division by zero")
            except DBAPIError:
                pass


async def tasks():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    engine = create_async_engine(url("asyncpg"), pool_size=THREADS, connect_args={"ssl": context})
    await asyncio.gather(*(task(engine, f"task{n}") for n in range(THREADS)))
    await engine.dispose()


threads()
asyncio.run(tasks())
