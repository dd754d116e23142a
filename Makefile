# A line each into npm scripts or bin/imgbuild; the logic is in TypeScript.
IMAGE ?=
HOST ?=
CASE ?=
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help check format test demo matrix matrix-list bench fields package site image deploy shell setup doctor fresh

# Root by sudo where we are not root; a password is asked by sudo itself. Definitions are built, tested and opened without it.
# The project's own tests, demo and benchmarks need it: they mount filesystems and loop devices, run an sshd and debootstrap's
# kin, and compare what root makes with what a user makes. HOME is root's own there, so that no file of root's comes to lie in
# the user's cache.
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo "sudo --preserve-env=PATH,CI,IMGBUILD_CACHE,XDG_CACHE_HOME,IMGBUILD_ACCEL,IMGBUILD_MIRROR,FRESH,FIRMWARE,ROWS,ROUNDS")

DEPS := node_modules/.package-lock.json
$(DEPS): package.json package-lock.json
	npm ci --no-audit --no-fund --ignore-scripts
	@touch $(DEPS)

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

check: setup ## format, lint, types and unit tests: what to run while working
	@npm run --silent lint && npm run --silent types && npm run --silent unit

format: $(DEPS) ## write the format
	@npm run --silent format

setup: $(DEPS) ## install the Debian packages that tests and demo need
	@node --import tsx scripts/setup.ts

fresh: setup
	@node --import tsx scripts/freshen.ts

ifeq ($(IMAGE),)
test: fresh ## the project's own tests; with IMAGE=web: build that definition, boot it in QEMU, run its checks
	@npm run --silent lint && npm run --silent types && npm run --silent unit
	@$(ROOT) node --import tsx scripts/slow-tests.ts
else
test: setup
	@bin/imgbuild test imgbuild/$(IMAGE)
endif

demo: fresh ## redeploy a stock Debian 12 host in QEMU as imgbuild/web, and prove it
	@mkdir -p out && $(ROOT) node --import tsx scripts/demo.ts

matrix: fresh ## the slow cases; CASE=name runs one
	@mkdir -p out && $(ROOT) node --import tsx scripts/matrix.ts $(CASE)

matrix-list: $(DEPS) ## names of the slow cases
	@node --import tsx scripts/matrix.ts --list

bench: fresh ## benchmarks against peers, into out/bench.json; ROWS=lock,build,image,start-up,vm,downtime or names of rows
	@mkdir -p out && $(ROOT) node --import tsx scripts/bench.ts

fields: $(DEPS) ## docs/FIELDS.md, from the schema and its comments
	@node --import tsx scripts/fields.ts

package: $(DEPS) ## the npm package, out/imgbuild-VERSION.tgz
	@mkdir -p out && node --import tsx scripts/package.ts

site: setup ## the documentation as a site, out/site
	@mkdir -p out && node --import tsx scripts/site.ts

image: setup ## IMAGE=web: an offline disk image, out/web.raw
	@mkdir -p out && bin/imgbuild build imgbuild/$(IMAGE) -o out/$(IMAGE).raw

deploy: $(DEPS) ## IMAGE=web HOST=name: redeploy that host
	@bin/imgbuild deploy imgbuild/$(IMAGE) $(HOST)

shell: setup ## IMAGE=web: a shell in the booted image
	@bin/imgbuild shell imgbuild/$(IMAGE)

doctor: $(DEPS) ## what this machine lacks
	@bin/imgbuild doctor
