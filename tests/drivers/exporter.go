// The query sequence of prometheus-community/pgbouncer_exporter, by its driver lib/pq: what it can't read would
// make the instance look down. Built with the distribution's golang-go and golang-github-lib-pq-dev.
package main

import (
	"database/sql"
	"fmt"
	"os"
	"strconv"

	"github.com/lib/pq"
)

// The query sequence of prometheus-community/pgbouncer_exporter, by its driver.
func main() {
	connector, err := pq.NewConnector(os.Getenv("DSN"))
	check(err)
	db := sql.OpenDB(connector)
	rows, err := db.Query("SHOW STATS")
	check(err)
	rows.Close()
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	for _, query := range []string{"SHOW VERSION;", "SHOW LISTS;", "SHOW CONFIG;", "SHOW databases;", "SHOW stats_totals;", "SHOW pools;", "SHOW CLIENTS;"} {
		rows, err := db.Query(query)
		check(err)
		names, err := rows.Columns()
		check(err)
		values := make([]interface{}, len(names))
		into := make([]interface{}, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		count := 0
		for rows.Next() {
			check(rows.Scan(into...))
			count++
			for i, name := range names {
				switch v := values[i].(type) {
				case string, nil, int64:
				case []byte:
					_, err := strconv.ParseFloat(string(v), 64)
					check(err)
				default:
					check(fmt.Errorf("%s: column %s has type %T", query, name, v))
				}
			}
		}
		check(rows.Err())
		rows.Close()
		fmt.Println(query, len(names), "columns", count, "rows")
	}
	_, err = db.Exec("SET extra_float_digits = 3")
	check(err)
	check(db.Ping())
	var version string
	statement, err := db.Prepare("SHOW VERSION")
	check(err)
	check(statement.QueryRow().Scan(&version))
	fmt.Println("prepared", version)
}

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}
