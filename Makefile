# `make demo` and `make test` each work as the first command on a fresh Debian 12 with Swift installed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build optimised test test-libssh2 interop interop-table peers-regress compare-tunnel perf perf-quick perf-programs demo \
	release install storm soak soak-kills soak-rekey format lint sanitize hotpath hotpath-load icount constant-time bench \
	bench-update bench-times compare compare-load compare-link recovery fuzz transcripts clean packages demo-packages test-packages compare-packages tools

SWIFT ?= swift
CC := clang
PREFIX ?= /usr/local
DESTDIR ?=

# What the build needs, and what looks at its products (readelf); what the demonstration, the tests and the comparison
# need besides.
BUILD_PACKAGES := binutils liburing-dev libssh2-1-dev libssl-dev pkg-config
# AES-GCM at four times libcrypto's speed; opened at run time, so a program built with it also runs without it.
ifeq ($(shell uname -m),x86_64)
BUILD_PACKAGES += libipsec-mb-dev
endif
DEMO_PACKAGES := openssh-server openssh-client postgresql postgresql-client python3
TEST_PACKAGES := $(DEMO_PACKAGES) openssl python3-venv tigervnc-standalone-server strace iproute2 util-linux procps \
	dropbear-bin libnss-wrapper socat curl netcat-openbsd ncat autossh golang-go golang-golang-x-crypto-dev \
	erlang-ssh libssh-dev
COMPARE_PACKAGES := $(DEMO_PACKAGES) haproxy nginx-light libnginx-mod-stream socat iperf3 redis-server redis-tools wrk \
	autossh tigervnc-standalone-server iproute2 iputils-ping util-linux
RECOVERY_PACKAGES := openssh-server openssh-client autossh iproute2 iptables util-linux python3

TOOLS := .build/tools
PEERS := .build/peers
REGRESS := .build/openssh-tests/usr/lib/openssh/regress/test-exec.sh
TINYSSH := .build/tinyssh/usr/sbin/tinysshd
REQUIREMENTS := Tests/InteropTests/Scripts/requirements.txt
OPTIMISED := $(CURDIR)/.build/release/culvert
STATIC := .build/static
# Every symbol is bound at start, so that the table of them can be read-only; and nothing says where it was built.
RELEASE_FLAGS := -Xlinker -z -Xlinker now -Xcc -ffile-prefix-map=$(CURDIR)/= -Xcxx -ffile-prefix-map=$(CURDIR)/= \
	-Xswiftc -file-prefix-map -Xswiftc $(CURDIR)/=
SWIFT_SOURCES := Package.swift Sources Tests Benchmarks
# Tests of the program's own parts: what the sanitizers watch.
UNIT_ONLY := --skip InteropTests --skip TidyTests

help:
	@printf '%s\n' \
	'make build     debug build' \
	'make test      format check, builds without a warning, and every test, against real servers and clients' \
	'make demo      a direct and a reverse tunnel carrying real traffic, with figures' \
	'make release   optimised programs, .build/culvert and .build/culvert-load, that need only libraries of Debian' \
	'make install   the same to $$(DESTDIR)$$(PREFIX)/bin (PREFIX is $(PREFIX))' \
	'make test-libssh2  the tests against real programs with the libssh2 engine' \
	'make interop   the servers of others with every combination of algorithms, and README.md'\''s table of them' \
	'               (OPENSSH=DIR: also the OpenSSH that was built in that source tree)' \
	'make peers-regress  OpenSSH'\''s own regress scripts with culvert in ssh'\''s place (OPENSSH=DIR: of that source tree)' \
	'make interop-table  the table alone, from what was found last' \
	'make storm     STORM_SECONDS (3600) of flows that end in every way, over links that die in every way' \
	'make soak      the tests against real programs in full size, hours and 4 GiB at a time; then SOAK_KILLS (1000) links' \
	'               that die under load' \
	'make soak-kills  of it, the links that die' \
	'make soak-rekey CIPHER=… GIB=…  much through one channel, every byte compared, over re-exchanges of keys' \
	'make perf-quick  culvert beside ssh, haproxy, nginx and others, in under three minutes' \
	'make perf      the same in full, with emulated links and scaling: two hours, for root; into perf/results' \
	'make compare   of it, culvert relay beside haproxy, nginx and socat' \
	'make compare-tunnel  of it, culvert beside ssh on loopback' \
	'make compare-load  culvert-load beside iperf3 and wrk: is the generator fast enough?' \
	'make compare-link  culvert beside ssh on emulated links: long, slow, lossy (for root)' \
	'make recovery  culvert beside autossh: how long a tunnel is away after each kind of fault (for root; 25 minutes)' \
	'make hotpath   counts allocations and reference counting while the relay and tunnels carry' \
	'make hotpath-load  the same of culvert-load, at both of its ends' \
	'make icount    counts the instructions that a packet costs, for each cipher, against recorded figures' \
	'make constant-time  shows under valgrind that what culvert calculates itself does not depend on secrets' \
	'make bench     counts what the parts cost, in instructions, against recorded thresholds (no part of make test)' \
	'make bench-update  makes what is counted now the thresholds; make bench-times shows how long each takes' \
	'make sanitize  the unit and simulation tests under ThreadSanitizer and AddressSanitizer' \
	'make fuzz      every parser and the engine under libFuzzer, FUZZ_SECONDS (60) each; FUZZ=Name runs one' \
	'make transcripts  records the transcripts that the tests replay anew, at real servers' \
	'make format    format the sources; make lint checks them' \
	'make clean     remove everything that was built'

packages:
	@perf/install-packages $(BUILD_PACKAGES)
demo-packages:
	@perf/install-packages $(BUILD_PACKAGES) $(DEMO_PACKAGES)
test-packages:
	@perf/install-packages $(BUILD_PACKAGES) $(TEST_PACKAGES)
compare-packages:
	@perf/install-packages $(BUILD_PACKAGES) $(COMPARE_PACKAGES)

# Python packages that the tests use as clients, in a place of their own.
tools: test-packages $(TOOLS)/installed $(TINYSSH) $(PEERS)/xcrypto_server $(PEERS)/libssh_server
$(TOOLS)/installed: $(REQUIREMENTS) | test-packages
	/usr/bin/python3 -m venv --clear $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	touch $@
# Its package would have systemd listen on port 22 from the next start of the machine on, so it is not installed.
$(TINYSSH): | test-packages
	perf/unpack-package tinysshd .build/tinyssh

# The scripts alone: the package depends on clients that nothing here calls.
$(REGRESS): | test-packages
	perf/unpack-package openssh-tests .build/openssh-tests

# Go finds Debian's packages where it has no modules.
$(PEERS)/xcrypto_server: Tests/InteropTests/Scripts/xcrypto_server.go | test-packages
	@mkdir -p $(PEERS)
	GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$(CURDIR)/$(PEERS)/go go build -o $@ $<

$(PEERS)/libssh_server: Tests/InteropTests/Scripts/libssh_server.c | test-packages
	@mkdir -p $(PEERS)
	$(CC) -O2 -Wall -Wextra -Werror -o $@ $< -lssh

build: packages
	$(SWIFT) build

optimised: packages
	$(SWIFT) build -c release --product culvert

lint:
	$(SWIFT) format lint --strict --recursive --parallel $(SWIFT_SOURCES)

format:
	$(SWIFT) format -i --recursive --parallel $(SWIFT_SOURCES)

# The last line is the test runner's summary. The tests run one after the other: many of them measure time.
test: tools $(REGRESS) lint
	$(SWIFT) build -c release --product culvert
	@mkdir -p .build
	$(SWIFT) build --build-tests 2>&1 | tee .build/build.log
	@if grep -E '^warning:|^$(CURDIR)/(Sources|Tests)/.*warning:' .build/build.log; then \
		echo 'The build has warnings.' >&2; exit 1; fi
	$(MAKE) --no-print-directory hotpath
	$(MAKE) --no-print-directory icount
	$(MAKE) --no-print-directory constant-time
	CULVERT_ENGINE=libssh2 CULVERT=$(OPTIMISED) $(SWIFT) test --skip-build --disable-xctest --no-parallel \
		--filter '$(BOTH_ENGINES)'
	CULVERT=$(OPTIMISED) Tests/Regress/run --quick
	STORM_SECONDS=180 $(MAKE) --no-print-directory storm
	CULVERT=$(OPTIMISED) $(SWIFT) test --skip-build --disable-xctest --no-parallel

# Enough of the tests against real programs to show that both engines do the same; test-libssh2 is all of them.
BOTH_ENGINES := InteropTests\.(EndingTests|ReverseTests)|LawOfEndsTests/(brokenOff|wordTo|wholeAnswer)|BulkTests/(manyFlows|rekey)
BOTH_ENGINES := $(BOTH_ENGINES)|LinkDeathTests/(restartedServer|hold|changedKey)|RekeyTests/everySixteen|JumpTests/bulk

# The same tests with the other engine.
test-libssh2: tools optimised
	CULVERT_ENGINE=libssh2 CULVERT=$(OPTIMISED) $(SWIFT) test --disable-xctest --no-parallel --filter InteropTests

# Every combination instead of every pair, then the table of them.
interop: tools optimised
	CULVERT_MATRIX=full CULVERT=$(OPTIMISED) $(SWIFT) test --disable-xctest --no-parallel --filter InteropTests.PeerTests
	$(MAKE) --no-print-directory interop-table

# OpenSSH's own regress scripts with culvert in ssh's place: Debian's, or with OPENSSH=DIR those of a built source tree.
peers-regress: optimised $(REGRESS)
	@CULVERT=$${CULVERT:-$(OPTIMISED)} Tests/Regress/run $(if $(OPENSSH),--source $(OPENSSH))

interop-table:
	CULVERT_TABLE=write $(SWIFT) test --disable-xctest --filter InteropTests.PeerTableTests

# First that it finds what is wrong with proxies that are bad on purpose.
STORM_SECONDS ?= 3600
storm: optimised
	@perf/install-packages openssh-server openssh-client python3
	$(SWIFT) build -c release --product culvert-load
	perf/storm --self-test
	CULVERT=$${CULVERT:-$(OPTIMISED)} perf/storm $(STORM_SECONDS)

soak: tools optimised
	CULVERT_SOAK=1 CULVERT=$(OPTIMISED) $(SWIFT) test --disable-xctest --no-parallel --filter InteropTests
	$(MAKE) --no-print-directory soak-kills

SOAK_KILLS ?= 1000
soak-kills: optimised
	@perf/install-packages openssh-server openssh-client python3
	$(SWIFT) build -c release --product culvert-load
	CULVERT=$${CULVERT:-$(OPTIMISED)} perf/soak $(SOAK_KILLS)

CIPHER ?= default
GIB ?= 100
soak-rekey: optimised
	@perf/install-packages openssh-server openssh-client python3
	@CULVERT=$${CULVERT:-$(OPTIMISED)} perf/endurance $(CIPHER) $(GIB)

sanitize: tools
	$(SWIFT) test --disable-xctest --sanitize=thread --scratch-path .build/thread-sanitizer $(UNIT_ONLY)
	$(SWIFT) test --disable-xctest --sanitize=address --scratch-path .build/address-sanitizer $(UNIT_ONLY)

demo: demo-packages
	$(SWIFT) build -c release --product culvert
	$(SWIFT) build -c release --product culvert-load
	@CULVERT=$${CULVERT:-$(OPTIMISED)} perf/demo

# What perf/ measures, and what it measures with.
perf-programs: compare-packages optimised
	$(SWIFT) build -c release --product culvert-load

perf: perf-programs
	@code=0; CC=$(CC) perf/compare --record || code=1; perf/scaling --record || code=1; perf/report --readme; exit $$code

perf-quick: perf-programs
	@CC=$(CC) perf/compare --quick

compare: perf-programs
	@perf/compare --scenario relays

compare-tunnel: perf-programs
	@perf/compare --scenario tunnels

compare-load: packages
	@perf/install-packages iperf3 wrk nginx util-linux
	$(SWIFT) build -c release --product culvert-load
	@perf/load-compare

# That the links are what they are called is shown first.
compare-link: perf-programs
	@CC=$(CC) perf/link --check
	@CC=$(CC) perf/compare --scenario links --rounds 3

recovery: optimised
	@perf/install-packages $(RECOVERY_PACKAGES)
	@CULVERT=$${CULVERT:-$(OPTIMISED)} perf/recovery

hotpath: optimised
	@perf/install-packages openssh-server openssh-client python3
	@$(CC) -O2 -Wall -Wextra -Werror -shared -fPIC -o .build/hotpath.so perf/hotpath.c
	@CULVERT=$${CULVERT:-$(OPTIMISED)} perf/hotpath .build/hotpath.so

hotpath-load: packages
	$(SWIFT) build -c release --product culvert-load
	@$(CC) -O2 -Wall -Wextra -Werror -shared -fPIC -o .build/hotpath.so perf/hotpath.c
	@perf/load-hotpath .build/hotpath.so

icount: optimised
	@perf/install-packages valgrind python3
	perf/icount/run

constant-time: optimised
	@perf/install-packages valgrind binutils
	@perf/constant-time

# COUNTER=processor asks the processor's own counter, where there is one, instead of callgrind.
COUNTER ?= callgrind
bench bench-update: packages
	@perf/install-packages valgrind python3
	@SWIFT=$(SWIFT) Benchmarks/run --counter $(COUNTER) $(if $(filter bench-update,$@)$(UPDATE),--update)

bench-times: packages
	@perf/install-packages python3
	@SWIFT=$(SWIFT) Benchmarks/run --times

fuzz: packages
	@SWIFT=$(SWIFT) Tests/Fuzz/run

transcripts: tools
	CULVERT_RECORD=$(CURDIR)/$(TOOLS)/bin/python $(SWIFT) test --disable-xctest --no-parallel --filter TranscriptRecorder
	$(SWIFT) test --disable-xctest --filter TranscriptTests

release: packages
	@for program in culvert culvert-load; do set -x; \
		$(SWIFT) build -c release --static-swift-stdlib --scratch-path $(STATIC) $(RELEASE_FLAGS) \
			--product $$program; \
		strip -o .build/$$program $(STATIC)/release/$$program; \
		perf/remove-runpath .build/$$program; \
		ls -l .build/$$program; \
		perf/check-libraries .build/$$program; \
	done

install: release
	install -D -m 755 .build/culvert $(DESTDIR)$(PREFIX)/bin/culvert
	install -D -m 755 .build/culvert-load $(DESTDIR)$(PREFIX)/bin/culvert-load

clean:
	rm -rf .build
