# leakproxy.  Targets: make (the program), deps, demo, check, lint, unit, e2e,
# replay, tsan, soak, story, bench, fuzz, screenshot, format, image, deb,
# install, clean.  SAN=address|thread|fuzz builds the same targets into
# build/asan, build/tsan or build/fuzz.

# V=1 shows the commands.
Q   := $(if $(V),,@)
SAY := @$(if $(V),:,echo)

PREFIX  ?= /usr/local
DESTDIR ?=
SAN     ?=
VERSION := 0.1.0

B_      := build
B_address := build/asan
B_thread  := build/tsan
B_fuzz    := build/fuzz
B       := $(B_$(SAN))

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla \
	-Wswitch-enum -Wno-unused-parameter $(if $(CI),-Werror) \
	$(if $(filter fuzz,$(SAN)),-Wno-cast-qual)
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
SAN_address := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
SAN_thread  := -fsanitize=thread -fno-omit-frame-pointer
SAN_fuzz    := $(SAN_address) -fsanitize=fuzzer-no-link
CC          := $(if $(filter fuzz,$(SAN)),clang,$(CC))
# Optimised over all files at once: a fourteenth less of a request's
# instructions.
OPT := $(if $(SAN),-O1 $(SAN_$(SAN)),-O2 -flto=auto $(HARDEN))

CPPFLAGS += -I. -isystem /usr/include/postgresql -D_GNU_SOURCE -DLEAKPROXY_VERSION='"$(VERSION)"'
CFLAGS   += -std=gnu11 -g $(OPT) $(WARN)
LDFLAGS  += $(if $(SAN),$(SAN_$(SAN)),-pie -Wl,-z,relro,-z,now)
LDLIBS   += -levent_pthreads -levent_extra -levent_core -lssl -lcrypto \
	-ljansson -lsqlite3 -lseccomp -lpthread -lresolv -lm

# bookworm ships llhttp's sources in node-llhttp; newer releases libllhttp-dev.
ifneq ($(wildcard /usr/share/llhttp/llhttp.c),)
LLHTTP_OBJ := $(addprefix $(B)/llhttp/,llhttp.o api.o http.o)
LLHTTP_INC := -isystem /usr/share/include/llhttp
else
LDLIBS += -lllhttp
endif

PROXY_SRC      := $(filter-out proxy/main.c,$(wildcard proxy/*.c proxy/base/*.c))
LIB_SRC        := $(wildcard accounting/*.c certs/*.c admin/*.c) $(PROXY_SRC)
LIB_OBJ        := $(LIB_SRC:%.c=$(B)/%.o) $(B)/admin/board/board.o
UNIT_SRC       := $(wildcard tests/unit/*_test.c)
UNIT_BIN       := $(UNIT_SRC:%.c=$(B)/%)

.PHONY: all library demo check unit-programs lint unit replay e2e tsan soak \
	bench fuzz format install clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/leakproxy
library: $(LIB_OBJ) $(LLHTTP_OBJ)

$(B)/leakproxy: $(B)/proxy/main.o $(LIB_OBJ) $(LLHTTP_OBJ)
	$(SAY) "  LD  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(SAY) "  CC  $@"
	$(Q)$(CC) $(CPPFLAGS) $(LLHTTP_INC) $(CFLAGS) -MMD -MP -c -o $@ $<

# The dashboard: one page, embedded with the policy that names its hashes.
BOARD_JS  := $(addprefix admin/board/,text.js dom.js server.js chart.js \
	parts.js leaks.js leak.js lists.js main.js)
BOARD_SRC := admin/board/board.html admin/board/board.css $(BOARD_JS)

$(B)/board/page.html: admin/board/assemble $(BOARD_SRC) Makefile
	$(SAY) "  GEN $@"
	$(Q)admin/board/assemble $(@D) $(BOARD_JS)

$(B)/admin/board/board.o: admin/board/board.S $(B)/board/page.html Makefile
	@mkdir -p $(@D)
	$(SAY) "  AS  $@"
	$(Q)$(CC) -Wa,-I$(B)/board -c -o $@ $<

$(B)/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	$(SAY) "  CC  $@"
	$(Q)$(CC) $(LLHTTP_INC) -std=gnu11 -g $(OPT) -w -c -o $@ $<

$(B)/tests/unit/%_test: $(B)/tests/unit/%_test.o $(LIB_OBJ) $(LLHTTP_OBJ)
	$(SAY) "  LD  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

# An admin server over many made-up leaks, for the board's tests.
$(B)/tests/e2e/crowd/crowd: $(B)/tests/e2e/crowd/crowd.o $(LIB_OBJ) $(LLHTTP_OBJ)
	$(SAY) "  LD  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# A benchmark of the accounts by themselves.
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(LIB_OBJ) $(LLHTTP_OBJ)
	$(SAY) "  LD  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# ---- what it takes ----

DEPS_BUILD := gcc make pkg-config libc6-dev libevent-dev libssl-dev \
	libjansson-dev libsqlite3-dev libpq-dev libseccomp-dev uthash-dev ca-certificates \
	$(shell apt-cache show libllhttp-dev >/dev/null 2>&1 && \
		echo libllhttp-dev || echo node-llhttp)
DEPS_DEMO  := golang-go docker-registry openssl python3
DEPS_CHECK := libcmocka-dev clang libclang-rt-14-dev clang-format clang-tidy python3-pytest \
	python3-pytest-xdist python3-requests python3-websockets curl git iproute2 nftables dnsmasq-base procps prometheus \
	openjdk-17-jdk-headless nodejs node-undici node-har-validator python3-cryptography \
	skopeo python3-yaml python3-kubernetes python3-grpcio mandoc systemd buildah dpkg-dev lintian \
	p11-kit containerd testssl.sh tinyproxy-bin postgresql chromium chromium-driver python3-selenium tshark
SUDO       := $(if $(filter 0,$(shell id -u)),,sudo)

# Installs what is missing, and nothing when all is there.  Debian would start
# the registry and Prometheus as services; nobody asked for that.
define install
	@tests/lint/install-packages $(SUDO) $(1)
endef

.PHONY: deps deps-build deps-demo deps-check
deps: deps-build deps-demo deps-check
deps-build:
	$(call install,$(DEPS_BUILD))
deps-demo:
	$(call install,$(DEPS_DEMO))
deps-check:
	$(call install,$(DEPS_CHECK))

# ---- the main job ----

demo: deps-build deps-demo
	@$(MAKE) --no-print-directory all
	@tests/demo/run

# The README's picture of the board, over the demo.
.PHONY: screenshot
screenshot: deps
	@$(MAKE) --no-print-directory all
	@tests/demo/screenshot tests/demo/board.png
	@! command -v pngquant >/dev/null || \
		pngquant --strip --ext .png --force 64 tests/demo/board.png

# ---- tests ----

unit-programs: $(UNIT_BIN)
unit: $(UNIT_BIN)
	@tests/unit/run $(UNIT_BIN)

lint:
	@tests/lint/run

# Mostly waiting, so two files at a time take half as long.  What fails beside
# another file has one more try, by itself; but no test of verdicts (conftest.py).
E2E = LEAKPROXY=$(abspath $(B)/leakproxy) /usr/bin/python3 -m pytest -q \
	-o cache_dir=$(abspath $(B))/pytest-cache
e2e: all
	@$(MAKE) --no-print-directory SAN= all build/tests/e2e/crowd/crowd \
		build/dist/leakproxy.1 build/dist/leakproxy.bash
	$(E2E) -n 2 --dist loadfile tests/e2e $(PYTEST_ARGS) || E2E_AGAIN=1 \
		$(E2E) --last-failed --last-failed-no-failures none tests/e2e

# Threads under ThreadSanitizer: the units that have threads, then real load.
tsan:
	@$(MAKE) --no-print-directory SAN=thread all \
		build/tsan/tests/unit/loop_test \
		build/tsan/tests/unit/leaf_cache_test \
		build/tsan/tests/unit/callers_test \
		build/tsan/tests/unit/marks_test \
		build/tsan/tests/unit/suspicion_test \
		build/tsan/tests/unit/admin_server_test
	@tests/unit/run build/tsan/tests/unit/*_test
	LEAKPROXY=$(abspath build/tsan/leakproxy) /usr/bin/python3 -m pytest \
		-q -p no:cacheprovider tests/e2e -m threads

# Ten minutes (SOAK_SECONDS) of everything at once; memory, descriptors and
# books must stay flat and exact.  No part of check.
soak: deps
	@$(MAKE) --no-print-directory all
	LEAKPROXY=$(abspath $(B)/leakproxy) tests/soak/run

# Everything, with the address sanitizer; installs what it needs.
check: deps
	@tests/check

# Our own figures, four minutes of them, one subject a program; the accounts'
# (ledger) is built.  BENCH=peers is the table beside nginx, haproxy and others,
# which have to be installed; BENCH_ARGS go to it, as -h says.
BENCH ?= ledger requests workers reports watched idle
bench: all $(if $(filter ledger,$(BENCH)),build/tests/bench/ledger)
	@for subject in $(BENCH); do \
		case $$subject in \
		ledger) build/tests/bench/ledger ;; \
		peers) tests/bench/peers $(BENCH_ARGS) ;; \
		*) tests/bench/$$subject ;; \
		esac || exit 1; \
	done
	@case "$(BENCH)" in *peers*) ;; *) \
		echo; echo "Side by side with others: make bench BENCH=peers" ;; \
	esac

# The founding story, two hours' worth at a hundredth of the time.
.PHONY: story
story: deps-build deps-demo
	@$(MAKE) --no-print-directory all
	@tests/story/run

# ---- fuzzing ----

FUZZ_SECONDS ?= 60
FUZZ_JOBS    ?= 1
FUZZ_ONLY    ?=
FUZZ_ALL     := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_NAMES   := $(or $(FUZZ_ONLY),$(FUZZ_ALL))
FUZZ_BIN     := $(FUZZ_NAMES:%=build/fuzz/tests/fuzz/%_fuzz)

# The corpora, by one program: the sanitized build, without libFuzzer.
replay:
	@$(MAKE) --no-print-directory SAN=address build/asan/tests/fuzz/replay
	@ASAN_OPTIONS=abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
		build/asan/tests/fuzz/replay $(FUZZ_NAMES)

# libFuzzer, FUZZ_SECONDS for each target, FUZZ_JOBS of them at a time, or
# FUZZ_ONLY=name; finds go into build/fuzz.
fuzz:
	@$(MAKE) --no-print-directory SAN=fuzz fuzz-programs
	@FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_JOBS=$(FUZZ_JOBS) \
		tests/fuzz/run $(FUZZ_NAMES)

.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_BIN)

# An archive, so that a target links what it calls, and no more.
build/fuzz/leakproxy.a: $(LIB_OBJ) $(LLHTTP_OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

build/fuzz/tests/fuzz/%_fuzz: build/fuzz/tests/fuzz/%_fuzz.o \
		build/fuzz/tests/fuzz/strict.o build/fuzz/leakproxy.a
	$(SAY) "  LD  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

# Each target under a name of its own.
REPLAY_OBJ := $(FUZZ_ALL:%=build/asan/tests/fuzz/%_replayed.o)
build/asan/tests/fuzz/%_replayed.o: tests/fuzz/%_fuzz.c Makefile
	@mkdir -p $(@D)
	$(SAY) "  CC  $@"
	$(Q)$(CC) $(CPPFLAGS) -DLLVMFuzzerTestOneInput=fuzz_$* $(CFLAGS) \
		-MMD -MP -c -o $@ $<

build/asan/tests/fuzz/replay.o: CPPFLAGS += \
	-DFUZZ_TARGETS='$(patsubst %,TARGET(%),$(FUZZ_ALL))'
build/asan/tests/fuzz/replay: build/asan/tests/fuzz/replay.o $(REPLAY_OBJ) \
		build/asan/tests/fuzz/strict.o $(LIB_OBJ) $(LLHTTP_OBJ)
	$(SAY) "  LD  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

format:
	clang-format -i $(shell git ls-files '*.c' '*.h')

# ---- for systems that have it installed ----

# Manual page and completion come out of the option table, as --help does.
$(B)/dist/pages: $(B)/proxy/dist/pages.o $(LIB_OBJ) $(LLHTTP_OBJ)
	@mkdir -p $(@D)
	$(SAY) "  LD  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/dist/%: proxy/dist/%.in $(B)/dist/pages
	$(SAY) "  GEN $@"
	$(Q)$(B)/dist/pages <$< >$@

DIST := $(addprefix $(B)/dist/,leakproxy.1 leakproxy.bash)

install: all $(DIST)
	install -D -m 755 $(B)/leakproxy $(DESTDIR)$(PREFIX)/bin/leakproxy
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(B)/dist/leakproxy.1
	install -D -m 644 $(B)/dist/leakproxy.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/leakproxy
	sed 's,@BINDIR@,$(PREFIX)/bin,' proxy/dist/leakproxy.service.in | \
		install -D -m 644 /dev/stdin \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/leakproxy.service
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/leakproxy/kubernetes \
		proxy/dist/kubernetes/*.yaml
	sed 's,(proxy/dist/,(,' README.md | install -D -m 644 /dev/stdin \
		$(DESTDIR)$(PREFIX)/share/doc/leakproxy/README.md
	sed 's,(../../,(,' proxy/dist/manual.md | install -D -m 644 /dev/stdin \
		$(DESTDIR)$(PREFIX)/share/doc/leakproxy/manual.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/leakproxy \
		admin/prometheus/leakproxy.rules.yml admin/grafana/leakproxy.json

# A package for this Debian; it needs dpkg-dev.
.PHONY: deb
deb: all
	rm -rf $(B)/deb
	@$(MAKE) --no-print-directory install DESTDIR=$(B)/deb/root PREFIX=/usr
	cp LICENSE $(B)/deb
	proxy/dist/make-deb $(VERSION) $(abspath $(B)/deb)

# A container's image of what is on this machine: its libraries, its roots.
BUILDAH ?= buildah
.PHONY: image
image: all
	proxy/dist/stage-image $(B)/leakproxy $(B)/image
	$(BUILDAH) bud --isolation chroot --format docker \
		-t leakproxy:$(VERSION) -f Containerfile $(B)/image

clean:
	rm -rf build

-include $(LIB_OBJ:.o=.d) $(B)/proxy/main.d $(B)/proxy/dist/pages.d $(UNIT_BIN:=.d) \
	$(REPLAY_OBJ:.o=.d) $(wildcard $(B)/tests/fuzz/*.d)
