# The same targets that continuous integration runs. `make help` lists them.

.PHONY: help demo bench test torture mutants check generate control-plane
.DEFAULT_GOAL := help

CARGO ?= cargo
export RUSTFLAGS ?=

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: ## Run the main job on a real kube-apiserver with an emulated phone company (KEEP=1 leaves it running)
	KEEP=$(KEEP) $(CARGO) test --quiet --test demo

bench: ## Measure what the operator costs, beside its budgets (N=1000 numbers; about three minutes)
	N=$(N) $(CARGO) test --quiet --release --test bench

test: check ## Run every check and every test
	tests/control-plane/build >/dev/null
	tests/helm/build >/dev/null
	tests/gitops/build >/dev/null
	$(CARGO) test --no-fail-fast

torture: ## Kill, freeze and cut off real processes while numbers are bought, changed and released (SEED=n; ten minutes)
	TORTURE=whole SEED=$(SEED) $(CARGO) test --test torture -- --nocapture

mutants: ## Break what decides about money, one place at a time, and expect a test to fail (hours; ARGS="--file src/claim.rs")
	$$(tests/mutants/build) mutants --output target $(ARGS)

check: ## Formatting, compiler and clippy warnings
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

generate: ## Rewrite the generated files: CRDs, rendered manifests, tables in the docs
	GENERATE=1 $(CARGO) test --test crds
	GENERATE=1 $(CARGO) test --test chart
	GENERATE=1 $(CARGO) test --test installation -- who_may_do_what the_configmap_of_argo_cd
	GENERATE=1 $(CARGO) test --lib the_table_of_deletion

control-plane: ## Build kube-apiserver, etcd, kube-controller-manager and kubectl (cached)
	tests/control-plane/build
