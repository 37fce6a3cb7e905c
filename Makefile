# The doors for people. `make` alone explains them.

export PATH := $(PATH):$(HOME)/.cargo/bin
TARGET := $(or $(CARGO_TARGET_DIR),target)
HOST = $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: help demo install pgo bench bench-instructions test check-tls sim soak fuzz deb regress check-sql check format lint docs deny build-tests

help: ## explain the targets
	@echo "Portcullis, a TLS proxy for PostgreSQL:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

demo: ## build, then show one verified session through a throw-away PostgreSQL (DEMO_ARGS=--once to leave at once)
	@scripts/install build
	cargo build --release --package portcullis
	$(TARGET)/release/portcullis demo $(DEMO_ARGS)

install: ## build and put portcullis into ~/.cargo/bin
	@scripts/install build
	cargo install --locked --path crates/portcullis

pgo: ## build as packages are, optimised by what a load shows (some fifteen minutes; a quarter less CPU in user space)
	@scripts/install pgo
	scripts/pgo

bench: pgo ## measure what packages hold beside PgBouncer (BENCH_ARGS=--quick for a first impression, --help for more)
	@scripts/install bench
	cargo build --release --package bench
	$(TARGET)/release/bench --portcullis $(abspath $(TARGET))/pgo/$(HOST)/release/portcullis $(BENCH_ARGS)

bench-instructions: ## compare the instructions per scenario with bench/instructions.txt
	@scripts/install bench
	cargo build --release --package portcullis --package bench
	$(TARGET)/release/bench --quick --only instructions --results $(TARGET) $(or $(BENCH_ARGS),--compare)

# Not nextest: it gives each test a process of its own, and so a PostgreSQL of its own, while
# the tests of a file share theirs here.
test: build-tests ## run every test
	PORTCULLIS_BINARY=$(abspath $(TARGET)/debug/portcullis) cargo test --workspace --no-fail-fast

check-tls: build-tests ## scan a listener's TLS as public scanners do, in every combination (PORTCULLIS_OPENSSL=DIR: also with that OpenSSL 3 and its FIPS provider)
	PORTCULLIS_CHECK_TLS=1 PORTCULLIS_BINARY=$(abspath $(TARGET)/debug/portcullis) \
		cargo test --package e2e --test tls_scan --test openssl_versions

SEEDS ?= 10000

sim: ## simulate clients, servers and workers (SEEDS=10000 as many, SEED=7 one again, with its last steps)
	cargo run --package sim -- $(if $(SEED),SEED=$(SEED),SEEDS=$(SEEDS))

deb: ## build a Debian package (needs cargo-deb)
	@cargo deb --version >/dev/null 2>&1 || { echo "cargo-deb is missing: cargo install cargo-deb"; exit 1; }
	@scripts/install pgo
	scripts/pgo
	$(TARGET)/pgo/$(HOST)/release/portcullis pages dist/pages
	CARGO_TARGET_DIR=$(TARGET)/pgo cargo deb --no-build --target $(HOST) --package portcullis --output $(TARGET)/debian/

regress: ## compare PostgreSQL's own regression tests through the proxy and without it (some minutes)
	@scripts/install build
	cargo build --release --package portcullis
	PORTCULLIS_BINARY=$(abspath $(TARGET)/release/portcullis) scripts/regress $(REGRESS_ARGS)

# PostgreSQL's parser is C with bindings that libclang makes: a workspace of its own, which `make test` leaves
# alone. What it confirmed stands in the tables of crates/sql/tests, which always run.
check-sql: ## compare the SQL scanner with PostgreSQL's own parser over its regression SQL (some minutes, needs libclang)
	@if ! ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* 2>/dev/null | grep -q .; then \
		echo "*** SKIPPED, NOTHING WAS COMPARED: libclang is missing (apt-get install libclang-dev) ***"; \
	else \
		sources="$$(scripts/regress --sources)" && { [ -z "$$sources" ] || { cd crates/sql/oracle && \
			PORTCULLIS_REGRESS_SQL="$$sources/sql" cargo test --locked -- --nocapture; }; }; \
	fi

soak: build-tests ## the big figures: a 900 MB row and parameter, 500 logins at once, 100 certificates under load, 100,000 cancels, 300 clients of a pool that must not meet, 64 clients through 21 failovers, a million KeyUpdates, ten million distinct statements, properties over many more cases
	PROPTEST_CASES=20000 cargo test --package admission --package wire --package session --package auth --package tls --package sql --package patterns --package import
	PORTCULLIS_SOAK=1 PORTCULLIS_BINARY=$(abspath $(TARGET)/debug/portcullis) \
		cargo test --package e2e --test limits big_messages
	PORTCULLIS_SOAK=1 PORTCULLIS_BINARY=$(abspath $(TARGET)/debug/portcullis) \
		cargo test --package e2e --test admission
	PORTCULLIS_SOAK=1 PORTCULLIS_BINARY=$(abspath $(TARGET)/debug/portcullis) \
		cargo test --package e2e --test reload rotate
	PORTCULLIS_SOAK=1 PORTCULLIS_BINARY=$(abspath $(TARGET)/debug/portcullis) \
		cargo test --package e2e --test isolation --test cancel_race --test pool_attacks
	PORTCULLIS_SOAK=1 PORTCULLIS_BINARY=$(abspath $(TARGET)/debug/portcullis) \
		cargo test --package e2e --test register -- --nocapture --test-threads=1
	PORTCULLIS_SOAK=1 cargo test --release --package tls upkeep
	PORTCULLIS_SOAK=1 cargo test --release --package patterns ten_million
	PORTCULLIS_SOAK=1 cargo test --release --package sql --test evasions

FUZZ ?= framer
FUZZ_SECONDS ?= 60

fuzz: ## fuzz one decoder with libFuzzer (FUZZ=framer, startup, from_client, from_server, proxy_header, scram_client, scram_server, relay, sql, console)
	@cargo fuzz --version >/dev/null 2>&1 || { echo "cargo fuzz is missing: cargo install cargo-fuzz"; exit 1; }
	cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run $(FUZZ) -- -max_total_time=$(FUZZ_SECONDS)

check: format lint docs deny test ## what must hold before a change is handed in

format:
	cargo fmt --all -- --check

lint:
	@scripts/install build
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo clippy --package portcullis --features keylog -- --deny warnings

docs:
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --document-private-items

# cargo-deny is a convenience of the developer's machine, not a requirement.
deny:
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check; \
	else echo "cargo deny: not installed, skipped (cargo install cargo-deny)"; fi

build-tests:
	@scripts/install test
	@scripts/tools
	cargo build --workspace --bins
	cargo test --workspace --no-run
