# Thin: what each word does stands in tools/. `make help` lists the words.
BUILD ?= build
NAME ?= run

.PHONY: help
help: ## lists what make can do
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

.PHONY: setup
setup: ## installs the Debian packages that building and running need (sudo when not root)
	tools/setup.sh build run

.PHONY: build
build: setup $(BUILD)/build.ninja ## compiles the release programs into build/
	ninja -C $(BUILD) shoald shoal mount.shoal shoal-selftest

$(BUILD)/build.ninja:
	meson setup $(BUILD) --buildtype=release

.PHONY: run
run: build ## starts the service, copies a real tree in and out over NFS, says what to do next
	tools/run.py $(BUILD)

.PHONY: check
check: ## ASan and UBSan build; unit, protocol and simulation tests; checkers. No root, no network
	tools/setup.sh --check build test
	tools/run-tests.py check

.PHONY: check-tsan
check-tsan: ## the unit and protocol tests under ThreadSanitizer
	tools/setup.sh --check build test
	tools/run-tests.py check-tsan

.PHONY: test
test: ## everything: check, release and clang builds, clang-tidy, end to end with real clients, fuzzing
	tools/setup.sh build run test
	tools/run-tests.py test

.PHONY: fuzz
fuzz: ## each fuzz target for 60 seconds
	tools/setup.sh build test
	tools/fuzz.py

.PHONY: bench
bench: setup $(BUILD)/build.ninja ## load generator against shoald and NFS-Ganesha, interleaved, with ratios
	tools/setup.sh bench
	ninja -C $(BUILD)
	tests/bench/run.py --build $(BUILD) --name $(NAME)

.PHONY: fmt
fmt: ## formats the C sources
	tools/format.sh

.PHONY: tidy
tidy: ## clang-tidy over src/
	tools/setup.sh build test
	test -d build-clang || CC=clang meson setup build-clang
	ninja -C build-clang
	tools/tidy.py build-clang

.PHONY: xdr-show
xdr-show: setup $(BUILD)/build.ninja ## prints the generated XDR declarations
	@ninja -C $(BUILD) src/xdr/nfs4_xdr.h >&2
	cat $(BUILD)/src/xdr/nfs4_xdr.h

.PHONY: install
install: setup $(BUILD)/build.ninja ## installs shoald, shoal and their man pages below /usr/local
	meson install -C $(BUILD)

.PHONY: deb
deb: setup $(BUILD)/build.ninja ## builds the Debian package into build/deb
	tools/setup.sh package
	ninja -C $(BUILD)
	packaging/build-deb.sh $(BUILD) $(BUILD)/deb

.PHONY: wheel
wheel: setup $(BUILD)/build.ninja ## builds the Python package, with the data layer's library inside, into build/wheel
	tools/setup.sh test
	ninja -C $(BUILD) src/datastore/libshoal-data.so.0
	"$$(tools/python-env.sh)" tools/make-wheel.py $(BUILD) $(BUILD)/wheel

.PHONY: uninstall
uninstall: ## removes what `make install` installed; data directories stay
	ninja -C $(BUILD) uninstall

.PHONY: clean
clean: ## removes the build directories; data directories stay
	rm -rf build build-asan build-tsan build-clang build-fuzz
