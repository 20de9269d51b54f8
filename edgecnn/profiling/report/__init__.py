"""A report for people (text, HTML) and for machines (JSON); nothing here prints or measures."""

from edgecnn.profiling.report.html import html_page, report_name, write_html
from edgecnn.profiling.report.json import evaluation_document, profile_document
from edgecnn.profiling.report.saved import parse_report, read_report
from edgecnn.profiling.report.summary import Summary, summarize
from edgecnn.profiling.report.text import device_line, evaluation_table, profile_table
from edgecnn.profiling.report.write import (
    FORMS,
    PICTURES,
    layers_beside,
    write_plot,
    write_report,
    write_trace,
)

__all__ = [
    "FORMS",
    "PICTURES",
    "Summary",
    "device_line",
    "evaluation_document",
    "evaluation_table",
    "html_page",
    "layers_beside",
    "parse_report",
    "profile_document",
    "profile_table",
    "read_report",
    "report_name",
    "summarize",
    "write_html",
    "write_plot",
    "write_report",
    "write_trace",
]
