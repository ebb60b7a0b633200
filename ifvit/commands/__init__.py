"""What each command of ``ifvit`` takes, and what it does with it; parsed by :mod:`ifvit.cli`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ifvit.commands import ask, gallery, graphs, make, match, measure, serve, use
from ifvit.config import DenseConfig, MatchConfig
from ifvit.evaluation.evaluate import EvaluateConfig
from ifvit.evaluation.identification import IdentifyConfig

COMMANDS: dict[str, tuple[Any, Callable[[Any], None]]] = {
    "synth": (make.SynthArgs, make.run_synth),
    "convert-loftr": (make.ConvertArgs, make.run_convert),
    "train-dense": (DenseConfig, make.run_train_dense),
    "train-match": (MatchConfig, make.run_train_match),
    "runs": (make.RunsArgs, make.run_runs),
    "inspect": (make.InspectArgs, make.run_inspect),
    "release": (make.ReleaseArgs, make.run_release),
    "export-onnx": (graphs.ExportOnnxArgs, graphs.run_export_onnx),
    "match": (match.MatchArgs, match.run_match),
    "register": (use.RegisterArgs, use.run_register),
    "embed": (use.EmbedArgs, use.run_embed),
    "compare": (use.CompareArgs, use.run_compare),
    "enroll": (gallery.EnrollArgs, gallery.run_enroll),
    "search": (ask.SearchArgs, ask.run_search),
    "verify": (ask.VerifyArgs, ask.run_verify),
    "dedupe": (ask.DedupeArgs, ask.run_dedupe),
    "list": (gallery.ListArgs, gallery.run_list),
    "remove": (gallery.RemoveArgs, gallery.run_remove),
    "gallery": (gallery.MaintainArgs, gallery.run_gallery),
    "serve": (serve.ServeArgs, serve.run_serve),
    "evaluate": (EvaluateConfig, measure.run_evaluate),
    "calibrate": (measure.CalibrateArgs, measure.run_calibrate),
    "identify": (IdentifyConfig, measure.run_identify),
    "report": (measure.ReportArgs, measure.run_report),
    "demo": (make.DemoArgs, make.run_demo),
}
