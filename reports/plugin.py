"""The pytest side of the reports: fills pytest-html's page and the terminal, and writes the run's files."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator, MutableMapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Protocol

import pytest
from _pytest.capture import CaptureManager
from pytest_metadata.plugin import metadata_key

from reports import summary
from reports.live.progress_reporter import ProgressReporter
from reports.page import banner_html, environment_table, page_title, table_header, table_row
from reports.run_files import RunFiles
from reports.text import one_line
from reports.tickets.slack_thread import update_thread
from reports.tickets.step_summary import write_step_summary
from reports.tickets.ticket import DeployTicket, attach
from verification.criteria.results import CriterionResults
from verification.criteria.scheduling import Waiting
from verification.criteria.selection import phases_named
from verification.deadline import now
from verification.errors import SettingsError, VerificationError
from verification.output import UnblockedOutput
from verification.records.events import belongs_in_the_log, keep, run_events
from verification.records.run_record import RunRecord
from verification.redaction import redact
from verification.run.run import Run


class _Page(Protocol):
    """What pytest-html hands to `pytest_html_report_title`."""

    title: str


def begin_report(config: pytest.Config, run: Run, results: CriterionResults) -> Reporting:
    """The report of `run`, whose folder is there from now on. Raises pytest.UsageError."""
    output = Path(config.getoption("--output"))
    try:
        tickets = [DeployTicket.parse(named) for named in config.getoption("--ticket")]
        files = RunFiles.create(output, run.record, phases_named(config))
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from None
    except OSError as error:
        cause = f"no report can be written below {output}: {error.strerror}."
        raise pytest.UsageError(f"{cause} Free or mend that place.") from None
    run.logs = files.folder
    return Reporting(config, run.record, results, files, _unblocked_output(config), tickets)


def _unblocked_output(config: pytest.Config) -> UnblockedOutput:
    """What is printed from now on to the end holds nobody up; pytest's capture goes back to that between the tests."""
    capture: CaptureManager | None = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    output = UnblockedOutput()
    config.add_cleanup(output.close)
    if capture is not None:
        capture.start_global_capturing()
        capture.suspend_global_capture()
        config.add_cleanup(capture.stop_global_capturing)  # the last is the first to be called
    return output


class Reporting:
    """Shows one run: in the files of its folder, and at the end of the terminal's output."""

    def __init__(
        self,
        config: pytest.Config,
        record: RunRecord,
        results: CriterionResults,
        files: RunFiles,
        output: UnblockedOutput,
        tickets: Sequence[DeployTicket] = (),
    ) -> None:
        self._record = record
        self._results = results
        self.files = files
        # Somebody's own --html and --junitxml get a copy; the run's folder is complete in any case.
        self._copies = [(files.report, config.option.htmlpath), (files.junit, config.option.xmlpath)]
        config.option.htmlpath, config.option.self_contained_html = str(files.report), True
        config.option.xmlpath = str(files.junit)
        self._run: Run | None = None
        self._page: _Page | None = None
        self._said = False
        self._output = output
        self._tickets = tickets
        self._handed: list[str] = []  # what became of the tickets

    def waiting(self, config: pytest.Config, run: Run) -> Waiting:
        """Shows, around each wait for an answer, what is waited for."""
        reporter = config.pluginmanager.getplugin("terminalreporter")
        if reporter is None:
            return lambda: nullcontext(lambda: None)
        return ProgressReporter(
            config.get_terminal_writer(), reporter.write_line, run.probes.progress, run.snapshot
        ).waiting

    def finish(self, run: Run, exitstatus: int) -> int:
        """Tell the team and the deployment log, and write the files; the run's exit code. Raises OSError."""
        self._run = run
        self._record.finished = now()
        if run.started:
            update_thread(self._record, run.settings.slack, run.variables, self.files.folder.name)
        self.log(run)
        self.files.write(self._record)
        if problem := write_step_summary(self._record, os.environ):
            self._record.notices.append(problem)
        return self._record.exit_code_after(exitstatus)

    def unfinished(self, error: BaseException) -> int:
        """Say that a part of the report is missing; the exit code, which is the verdict's unless that is pass."""
        record = self._record
        record.finished = record.finished or now()
        record.notices.append(redact(f"the run could not be brought to its end: {type(error).__name__}: {error}"))
        return record.exit_code or pytest.ExitCode.INTERNAL_ERROR

    def log(self, run: Run) -> None:
        """Tell the deployment log what became of the deployment. What goes wrong with that is a notice."""
        record = self._record
        if not run.started or not belongs_in_the_log(record):
            return
        if not record.revision:
            record.notices.append("the deployment log was not written: which revision was deployed is not known")
            return
        try:
            log = run.log()
        except SettingsError as mistake:
            record.notices.append(redact(f"the deployment log was not written: {mistake.cause}"))
            return
        if problem := keep(log, run_events(record, self.files.folder.name, run.sign_offs)):
            record.notices.append(problem)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Keep of the environment table what helps a reader."""
        table: MutableMapping[str, object] = session.config.stash[metadata_key]
        kept = environment_table(table)
        table.clear()
        table.update(kept)

    def pytest_html_report_title(self, report: _Page) -> None:
        """Hold on to the page: its title carries the verdict, which comes last."""
        self._page = report
        report.title = page_title(self._record)

    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Our columns."""
        table_header(cells)

    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Our cells."""
        with suppress(Exception):  # a row that cannot be shown (no memory) is not worth the run
            table_row(report, self._results.result(report.nodeid), cells)

    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """The banner, above everything."""
        prefix.append(banner_html(self._record))
        if self._page is not None:
            self._page.title = page_title(self._record)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Finish the page that pytest-html writes.

        And spare the terminal what the verdict says anyway; the traceback of a criterion that broke itself stays.
        """
        if not self._results.broken:
            session.config.option.tbstyle = "no"
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            reporter.reportchars = ""
        yield
        self.files.finish_report()
        self._hand_over()

    def _hand_over(self) -> None:
        """Attach the report, which is whole now, to the tickets that were named; without them a run is no worse."""
        run, folder = self._run, self.files.folder
        if run is None or not run.started or not self._tickets:
            return
        if self._record.dry_run:
            self._handed = [f"Ticket {ticket}: not attached, because this is a dry run" for ticket in self._tickets]
            return
        try:
            statuses = attach(folder, self._tickets, run.settings, run.variables)
        except (OSError, VerificationError) as error:
            self._handed = [f"No ticket was attached to: {redact(str(error))}"]
            return
        for status in statuses:
            self._handed.append(f"Ticket {status}")
            if status.state == "queued":
                self._handed.append(f"  Send it later: python -m reports attach {folder}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What matters in the worst moment, last on the screen."""
        self._said = True
        terminalreporter.write_sep("=", "verdict")
        for line, markup in summary.terminal(self._record, self.files.report):
            terminalreporter.write_line(line, **markup)
        for line in self._handed:
            terminalreporter.write_line(one_line(line))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Say the verdict if it could not be said before, and copy the files to where somebody asked for them."""
        heard = self._said and self._output.is_heard()
        if self._record.finished is not None and not heard:
            print(*(line for line, _ in summary.terminal(self._record, self.files.report)), sep="\n", file=sys.stderr)
        for file, copy in self._copies:
            try:
                if copy and file.exists():
                    Path(copy).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, copy)
            except OSError as error:  # it is a copy: the exit code stays the verdict's
                print(f"no copy of {file} could be written to {copy}: {error.strerror}", file=sys.stderr)
