# The same targets that continuous integration runs. `make help` lists them.

.PHONY: help unit demo bench test test-processes test-schedules simulate torture mutants check check-release release image generate control-plane
.DEFAULT_GOAL := help

CARGO ?= cargo
SIMULATION = $(CARGO) test --profile simulation --features disable-safeguards --test simulation
export RUSTFLAGS ?=
# Most tests wait for real processes most of the time.
export RUST_TEST_THREADS ?= 6

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: ## Run the main job on a real kube-apiserver with an emulated phone company (KEEP=1 leaves it running)
	KEEP=$(KEEP) $(CARGO) test --quiet --test demo

bench: ## Measure what the operator costs, beside its budgets (N=1000 numbers; PART=operator or peer; several minutes)
	N=$(N) PART=$(PART) $(CARGO) test --quiet --release --test bench

unit: check ## Run what needs Rust alone: the first command for a change
	$(CARGO) test --lib --test architecture --test crds --test docs --test providers --test hostile
	SCHEDULES=200 $(SIMULATION) -- money_is_spent_once

test: check ## Run every check and every test
	tests/control-plane/build >/dev/null
	tests/helm/build >/dev/null
	tests/gitops/build >/dev/null
	$(CARGO) test --no-run
	$(SIMULATION) --no-run
	$(MAKE) --jobs=2 --keep-going --output-sync=line --no-print-directory test-processes test-schedules

# Tests of real processes mostly wait; schedules compute in the time that they leave.
test-processes:
	$(CARGO) test --no-fail-fast

test-schedules:
	SCHEDULES=10000 nice -n 19 $(SIMULATION)

simulate: ## Play a million schedules of faults in memory (SCHEDULES=…, FIRST=…), or a failed one again (SEED=…)
	SEED=$(SEED) FIRST=$(FIRST) SCHEDULES=$(or $(SCHEDULES),1000000) $(SIMULATION) -- --nocapture money_is_spent_once

torture: ## Kill, freeze and cut off real processes while numbers are bought, changed and released (SEED=n; ten minutes)
	TORTURE=whole SEED=$(SEED) $(CARGO) test --test torture -- --nocapture

mutants: ## Break what decides about money, one place at a time, and expect a test to fail (hours; ARGS="--file crates/telephony/src/claim.rs")
	$$(tests/mutants/build) mutants --output target $(ARGS)

check: ## Formatting, unused dependencies, compiler and clippy warnings
	$(CARGO) fmt --check
	programs=$$(release/tool cargo-machete) && "$$programs/cargo-machete" --skip-target-dir
	$(CARGO) clippy --all-targets --all-features -- -D warnings
	$(CARGO) clippy --test bench --test demo --all-features -- -D warnings

check-release: ## What a release is checked for besides (CHECKS="sbom image": only these); says at the end what could not be run
	CHECKS="$(CHECKS)" tests/release/all

release: ## Make everything to publish in dist/ (VERSION=x.y.z; REGISTRY, SOURCE, COSIGN_KEY: docs/contributing/releasing.md)
	release/build "$(VERSION)"

image: ## Build the static program and the image of it (IMAGE=name; needs buildah, podman or docker)
	IMAGE="$(IMAGE)" image/build

generate: ## Rewrite the generated files: CRDs, rendered manifests, tables in the docs
	GENERATE=1 $(CARGO) test --test crds
	GENERATE=1 $(CARGO) test --test chart
	GENERATE=1 $(CARGO) test --test docs the_help_of_every_command
	GENERATE=1 $(CARGO) test --test installation -- who_may_do_what the_configmap_of_argo_cd
	GENERATE=1 $(CARGO) test --lib the_table_of_deletion
	GENERATE=1 $(SIMULATION) -- --test-threads=1 whatever_dies each_safeguard
	GENERATE=1 $(CARGO) test --lib the_page_of_metrics
	GENERATE=1 $(CARGO) test -p kubectl-phonenumbers --lib the_schema_of_a_plan

control-plane: ## Build kube-apiserver, etcd, kube-controller-manager and kubectl (cached)
	tests/control-plane/build
