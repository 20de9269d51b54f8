"""A recipe, step by step; a step whose inputs did not change is skipped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgecnn.errors import FileError
from edgecnn.files import sha256_of, write_text
from edgecnn.onnxfile import read_contract
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.export import export
from edgecnn.pipeline.fastest import FastestOptions, fastest
from edgecnn.pipeline.ledger import Ledger, key_of
from edgecnn.pipeline.measure import evaluate, open_data, profile
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.pipeline.quantize import quantize, ranges_path
from edgecnn.pipeline.recipe_options import (
    evaluate_options,
    export_options,
    labelled_data,
    profile_options,
    quantize_options,
)
from edgecnn.pipeline.values import check_values
from edgecnn.profiling.records import Evaluation
from edgecnn.profiling.report import (
    evaluation_document,
    evaluation_table,
    profile_document,
    profile_table,
    summarize,
    write_html,
)
from edgecnn.recipe import (
    EvaluateSection,
    ExportSection,
    ProfileSection,
    QuantizeSection,
    Recipe,
)
from edgecnn.runtime.auto import AUTO
from edgecnn.runtime.compiled import Compiled, compile_engine


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run: its name, the files that it stands for, and whether it was skipped."""

    name: str
    outputs: tuple[Path, ...]
    skipped: bool


def run(recipe: Recipe, *, narrator: Narrator | None = None) -> tuple[Step, ...]:
    """Run a recipe: export, quantize, compile, evaluate, profile, whatever it asks for.

    Raises what the steps raise; what is done stays done, and the next run goes on from there.
    """
    check_values(recipe)
    try:
        recipe.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"{recipe.output}: cannot be made ({error.strerror})", hint="choose: --set output=DIR"
        ) from error
    return tuple(_Run(recipe, narrator or Silent()).steps())


class _Run:
    def __init__(self, recipe: Recipe, narrator: Narrator) -> None:
        self._recipe = recipe
        self._narrator = narrator
        self._ledger = Ledger(recipe.output)
        self._is_file = recipe.model.lower().endswith(".onnx")
        stem = Path(recipe.model).stem if self._is_file else recipe.model
        self._float = recipe.output / f"{stem}.onnx"
        self._int8 = recipe.output / f"{stem}.int8.onnx"
        self._files = (self._float, self._int8) if recipe.quantize else (self._float,)
        self._evaluations: tuple[Evaluation, ...] = ()

    def steps(self) -> Iterator[Step]:
        recipe = self._recipe
        yield self._export(recipe.export)
        if recipe.quantize:
            yield self._quantize(recipe.quantize)
        yield self._compile()
        if recipe.evaluate:
            yield self._evaluate(recipe.evaluate)
        if recipe.profile:
            yield self._profile(recipe.profile)

    def _step(
        self, name: str, key: str, outputs: tuple[Path, ...], work: Callable[[], object]
    ) -> Step:
        skipped = self._ledger.is_done(name, key)
        if skipped:
            self._narrator.line(name, f"unchanged: {outputs[0]}")
        else:
            work()
            self._ledger.keep(name, key, outputs)
        return Step(name, outputs, skipped)

    def _export(self, section: ExportSection) -> Step:
        recipe = self._recipe
        model = str(recipe.input_path(recipe.model)) if self._is_file else recipe.model
        options = export_options(recipe, section)

        def work() -> None:
            export(model, output=self._float, options=options, force=True, narrator=self._narrator)

        read = (model, options.weights, options.contract.labels)
        key = key_of(model, asdict(options), _contents(*read))
        return self._step("export", key, (self._float,), work)

    def _quantize(self, section: QuantizeSection) -> Step:
        recipe = self._recipe
        images = find_calibration(
            section.calibration, limit=section.images, seed=recipe.seed, base=recipe.path.parent
        )
        options = quantize_options(recipe, section)

        def work() -> None:
            quantize(
                self._float,
                images,
                options=options,
                output=self._int8,
                force=True,
                narrator=self._narrator,
            )

        made = (self._int8, ranges_path(self._int8))
        float_sha256 = sha256_of(self._float)
        made_by = asdict(replace(options, against=None))  # looked at only, it changes no byte
        judged_by = self._data_sha256(recipe.evaluate) if options.budget else ""
        key = key_of(made_by, _contents(options.ranges), images.sha256, float_sha256, judged_by)
        return self._step("quantize", key, made, work)

    def _compile(self) -> Step:
        if self._recipe.engine == AUTO:
            return self._choose()
        built, graphs = False, []
        for path in self._files:
            item = self._compiled(path, self._recipe.engine)
            state = "built" if item.built else "unchanged"
            self._narrator.line("compile", f"{state}: {path} for {self._recipe.engine}")
            built |= item.built
            graphs.append(item.graph)
        return Step("compile", tuple(graphs), skipped=not built)

    def _choose(self) -> Step:
        options = FastestOptions(threads=self._recipe.threads)
        chosen, _ = fastest(self._files, options=options, narrator=self._narrator)
        graphs = (self._compiled(each.path, each.choice.engine).graph for each in chosen)
        skipped = not any(each.choice.made for each in chosen)
        return Step("compile", tuple(graphs), skipped)

    def _compiled(self, path: Path, engine: str) -> Compiled:
        return compile_engine(path, engine=engine, sha256=sha256_of(path))

    def _evaluate(self, section: EvaluateSection) -> Step:
        recipe, target = self._recipe, self._recipe.output / "evaluation.json"
        options = evaluate_options(recipe, section)
        if options is None:
            self._narrator.line("evaluate", "left out: no labels; --set evaluate.data=FOLDER")
            return Step("evaluate", (), skipped=True)

        def work() -> None:
            results = evaluate(self._files, options=options, narrator=self._narrator)
            self._evaluations = results
            self._narrator.line("evaluate", evaluation_table(results))
            write_text(target, _json(evaluation_document(results)))

        key = key_of(asdict(options), self._data_sha256(section), self._hashes())
        return self._step("evaluate", key, (target,), work)

    def _data_sha256(self, section: EvaluateSection | None) -> str:
        data, table = labelled_data(self._recipe)
        if section is None or data is None:
            return ""
        contract = read_contract(self._float)
        return open_data(data, contract, table=table, class_offset=section.class_offset).sha256

    def _profile(self, section: ProfileSection) -> Step:
        recipe = self._recipe
        page, document = recipe.output / "profile.html", recipe.output / "profile.json"
        options = profile_options(recipe, section)

        def work() -> None:
            # What this run has evaluated just now need not be evaluated again.
            chosen = replace(options, evaluations=self._evaluations)
            summary = summarize(profile(self._files, options=chosen, narrator=self._narrator))
            self._narrator.line("profile", f"\n{profile_table(summary)}")
            write_text(document, _json(profile_document(summary)))
            write_html(summary, page)

        key = key_of(asdict(options), self._data_sha256(recipe.evaluate), self._hashes())
        return self._step("profile", key, (page, document), work)

    def _hashes(self) -> list[str]:
        return [sha256_of(path) for path in self._files]


def _contents(*names: str | Path | None) -> list[str]:
    """The sha256 of those names that are files: their content counts, not only their name."""
    return [sha256_of(Path(name)) for name in names if name is not None and Path(name).is_file()]


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"
