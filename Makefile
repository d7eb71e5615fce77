# leakproxy.  Targets: make (program), deps, demo, check, lint, unit, e2e,
# tsan, fuzz, bench, format, install, clean.
# SAN=address|thread builds the same targets into build/asan or build/tsan.

PREFIX  ?= /usr/local
DESTDIR ?=
SAN     ?=
CC      ?= gcc
VERSION := 0.1.0

B_      := build
B_address := build/asan
B_thread  := build/tsan
B       := $(B_$(SAN))

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla \
	-Wswitch-enum -Wno-unused-parameter $(if $(CI),-Werror)
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
SAN_address := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
SAN_thread  := -fsanitize=thread -fno-omit-frame-pointer
OPT := $(if $(SAN),-O1 $(SAN_$(SAN)),-O2 $(HARDEN))

CPPFLAGS += -I. -D_GNU_SOURCE -DLEAKPROXY_VERSION='"$(VERSION)"'
CFLAGS   += -std=gnu11 -g $(OPT) $(WARN)
LDFLAGS  += $(if $(SAN),$(SAN_$(SAN)),-pie -Wl,-z,relro,-z,now)
LDLIBS   += -levent_pthreads -levent_extra -levent_core -lssl -lcrypto \
	-ljansson -lpthread -lm

# bookworm ships llhttp's sources in node-llhttp; newer releases libllhttp-dev.
ifneq ($(wildcard /usr/share/llhttp/llhttp.c),)
LLHTTP_OBJ := $(addprefix $(B)/llhttp/,llhttp.o api.o http.o)
LLHTTP_INC := -isystem /usr/share/include/llhttp
else
LDLIBS += -lllhttp
endif

PROXY_SRC      := $(filter-out proxy/main.c,$(wildcard proxy/*.c proxy/base/*.c))
LIB_SRC        := $(wildcard accounting/*.c certs/*.c admin/*.c) $(PROXY_SRC)
LIB_OBJ        := $(LIB_SRC:%.c=$(B)/%.o)
UNIT_SRC       := $(wildcard tests/unit/*_test.c)
UNIT_BIN       := $(UNIT_SRC:%.c=$(B)/%)

.PHONY: all deps demo check lint unit e2e tsan fuzz bench format install clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/leakproxy

$(B)/leakproxy: $(B)/proxy/main.o $(LIB_OBJ) $(LLHTTP_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(LLHTTP_INC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	$(CC) $(LLHTTP_INC) -std=gnu11 -g $(OPT) -w -c -o $@ $<

$(B)/tests/unit/%_test: $(B)/tests/unit/%_test.o $(LIB_OBJ) $(LLHTTP_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

unit: $(UNIT_BIN)
	@for t in $(UNIT_BIN); do $$t || exit 1; done

clean:
	rm -rf build

-include $(LIB_OBJ:.o=.d) $(B)/proxy/main.d $(UNIT_BIN:=.d)
