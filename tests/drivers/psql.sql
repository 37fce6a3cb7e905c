-- Puts psql through its paces. Run with ON_ERROR_STOP=1; :file, $DRIVER_FILE too, is a file of our own.

\conninfo

-- Simple query: several statements and results in one message.
SELECT 1 \; SELECT 'two', NULL;

-- Portals, fetched in pieces.
\set FETCH_COUNT 10
\o /dev/null
SELECT * FROM generate_series(1, 95);
\o
\unset FETCH_COUNT

-- Prepared statements of SQL, and psql's own extended queries.
PREPARE double(int) AS SELECT $1 * 2 AS twice;
EXECUTE double(21) \gset
SELECT 1 / (:twice = 42)::int;
SELECT 'one' AS a, 2 AS b \gdesc

-- COPY in all directions.
CREATE TEMP TABLE copied (id int, name text);
INSERT INTO copied SELECT n, 'name ' || n FROM generate_series(1, 1000) AS n;
\copy copied TO PROGRAM 'cat > "$DRIVER_FILE"'
\copy copied FROM PROGRAM 'cat "$DRIVER_FILE"'
COPY copied FROM STDIN;
1	by hand
2	\N
\.
SELECT 1 / (count(*) = 2002)::int FROM copied;

-- Large objects go through FunctionCall.
\lo_import :file
\set loid :LASTOID
\lo_export :loid :file
\lo_unlink :loid

-- Errors: recovery outside and inside of transactions.
\set ON_ERROR_STOP 0
\set VERBOSITY sqlstate
SELECT 1/0;
\set seen :SQLSTATE
COPY copied FROM STDIN;
no number	x
\.
BEGIN;
SELECT * FROM missing_table;
\set seen_in_transaction :SQLSTATE
SELECT 1;
\set seen_after :SQLSTATE
ROLLBACK;
\set ON_ERROR_STOP 1
SELECT 1 / ((:'seen', :'seen_in_transaction', :'seen_after') = ('22012', '42P01', '25P02'))::int;
SELECT 1 / (count(*) = 2002)::int FROM copied;

-- Notifications arrive behind the next command.
LISTEN psql_channel;
NOTIFY psql_channel, 'hello';

-- Big rows.
SELECT 1 / (length(t) = 16777216)::int, t FROM repeat('x', 16777216) AS t \g /dev/null
\d copied
