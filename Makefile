# Each target works as the first command on a fresh machine: it sets up .venv when it must.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo test test-slow test-gpu check format bench bench-load bench-auto
.PHONY: bench-activations bench-litert bench-report bench-accuracy bench-calibration bench-preprocess
.PHONY: bench-profiler bench-footprint bench-remote soak zoo clean

help:
	@echo "make demo       set everything up, then run the main job offline"
	@echo "make test       set everything up, then run the tests"
	@echo "make test-slow  the tests that take long"
	@echo "make test-gpu   the tests that need an NVIDIA GPU with TensorRT"
	@echo "make check      ruff and mypy --strict"
	@echo "make bench      the claims about speed, measured here"
	@echo "make bench-preprocess  a frame to the network's input, against Pillow's resize"
	@echo "make bench-footprint  time to import, memory beside the engine, size of the wheel"
	@echo "make bench-remote  what a profile over ssh takes longer than one on this machine"
	@echo "make soak       a stream for 30 minutes: age of frames, memory, what is left behind"
	@echo "make bench-profiler  the profiler against bare loops and OpenVINO's benchmark_app"
	@echo "make bench-report  how long a report of 20 files takes to open in Chromium"
	@echo "make bench-load  loading a cached engine against loading the ONNX file"
	@echo "make bench-auto  the engine that auto takes against other tools' (installs them beside)"
	@echo "make bench-activations  HardSwish and SiLU in INT8, written in several ways"
	@echo "make bench-litert  INT8 in LiteRT and in ONNX Runtime against FP32"
	@echo "make bench-calibration  time and memory of calibration against ONNX Runtime's (9 GB)"
	@echo "make bench-accuracy  INT8 against FP32 and against other tools (hours; it goes on where it stopped)"
	@echo "make zoo        every network at full size through export, INT8 and the runtime"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt scripts/setup
	scripts/setup $(PYTHON) $(VENV)
	@touch $@

demo: $(STAMP)
	$(BIN)/edgecnn demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not gpu"

test-slow: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow and not gpu"

test-gpu: $(STAMP)
	$(BIN)/python -m pytest -m gpu

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python -m benchmarks.int8_speed

bench-profiler: $(STAMP)
	$(BIN)/python -m benchmarks.profiler

bench-load: $(STAMP)
	$(BIN)/python -m benchmarks.load_time

bench-report: $(STAMP)
	$(BIN)/python -m benchmarks.report_opening

bench-auto: $(STAMP)
	$(BIN)/python -m benchmarks.auto_speed

bench-activations: $(STAMP)
	$(BIN)/python -m benchmarks.activations

bench-litert: $(STAMP)
	$(BIN)/python -m benchmarks.litert_speed

bench-calibration: $(STAMP)
	$(BIN)/python -m benchmarks.calibration

bench-accuracy: $(STAMP)
	$(BIN)/python -m benchmarks.accuracy

bench-preprocess: $(STAMP)
	$(BIN)/python -m benchmarks.preprocess

bench-footprint: $(STAMP)
	$(BIN)/python -m benchmarks.footprint

bench-remote: $(STAMP)
	$(BIN)/python -m benchmarks.remote

soak: $(STAMP)
	$(BIN)/python -m benchmarks.soak

zoo: $(STAMP)
	$(BIN)/python -m benchmarks.zoo

clean:
	rm -rf $(VENV) build dist demo-output bench-output zoo-output
