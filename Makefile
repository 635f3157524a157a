# wrmem: everything that is done often. `make` alone prints this list.

CARGO ?= cargo

# Where the system has no OpenSSL headers, OpenSSL is built from source (needs perl).
FEATURES := $(shell pkg-config --exists openssl 2>/dev/null || echo --features vendored-openssl)

# cargo-nextest runs no doc tests, so those are run by cargo in either case.
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: help build demo test simulators check fmt clippy docs fuzz bench bench-history compare profile soak

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the release binary, target/release/wrmem
	$(CARGO) build --release --locked $(FEATURES)

demo: build ## three simulated CSRs, backed up one by one and then all at once, under demo/
	target/release/wrmem demo

test: ## all tests
	$(CARGO) test --locked $(FEATURES) --doc
ifeq ($(NEXTEST),yes)
	$(CARGO) nextest run --locked $(FEATURES)
else
	$(CARGO) test --locked $(FEATURES) --lib --bins --tests
endif

simulators: ## whole runs against fakenos and scrapli-replay, which it gets from PyPI into target/
	tests/simulators/install.sh
	WRMEM_SIMULATORS=required $(CARGO) test --locked $(FEATURES) --test simulators

check: fmt clippy docs test ## what CI runs: format, lints, documentation, tests

fmt: ## is everything formatted?
	$(CARGO) fmt --check

clippy: ## lints, all of them errors
	$(CARGO) clippy --locked $(FEATURES) --all-targets -- -D warnings

docs: ## the documentation of the code, warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked $(FEATURES) --no-deps --document-private-items

fuzz: ## looks for bytes that break a promise: make fuzz ARGS="--seconds 600 cleaner" (fuzz/run says more)
	FEATURES="$(FEATURES)" fuzz/run $(ARGS)

bench: ## the fleet benchmark, beside the peers: make bench ARGS="--sizes 30 --peers wrmem,netmiko"
	benches/fleet.py $(ARGS)

bench-history: ## the git archive after years, beside libgit2: make bench-history ARGS="--versions 1000"
	benches/history.py $(ARGS)

compare: ## the exercise's own script (netmiko, a thread per device) and wrmem: 30 devices, RTT 20 ms
	benches/fleet.py --sizes 30 --peers netmiko,wrmem --profiles rtt20

soak: build ## `wrmem run` for half an hour against a lab that is never quiet, with kill -9: make soak ARGS="--minutes 3"
	benches/soak.py $(ARGS)

profile: ## where the client's CPU goes: perf on a run of 1,000 simulated devices (needs linux-perf)
	benches/cpu_profile.py $(ARGS)
