"""The commands `datasets`, `dashboard` and `doctor`."""

import signal
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from faqnas_optuna.api.settings import resolve_settings
from faqnas_optuna.cli.launch import opened_storage, reporting
from faqnas_optuna.cli.options import data_dir_option, data_options, json_option, no_check_option, option, storage_options
from faqnas_optuna.cli.output import print_json
from faqnas_optuna.cli.ranges import IntRange

EXPOSED = (
    "everyone who can reach port {port} of this machine can see, but not change, all studies of this database without a"
    " password; leave out --host to listen on this machine only"
)


@click.command()
@click.argument("file", metavar="[FILE]", required=False)
@data_options
@option("--download", type=click.Choice(["mnist", "fashion-mnist"]), help="First download 70,000 images from OpenML.")
@data_dir_option
@no_check_option
@json_option
def datasets(
    file: str | None, download: str | None, data_dir: Path | None, no_check: bool, as_json: bool, **settings: Any
) -> None:
    """List the data sets, or show how a search would read FILE.

    FILE is a CSV or Parquet file with its classes in the column --target, or an NPZ file with arrays x and y. It may also be
    the name of a data set; for a generated one, such as two-curves:features=20, all parameters are listed.
    """
    from faqnas_optuna.cli.display import print_data, print_datasets
    from faqnas_optuna.data.idx_files import download as fetch
    from faqnas_optuna.data.idx_files import download_directory
    from faqnas_optuna.data.named import DATASETS

    if file:
        document = _described(file, data_dir, settings, is_checked=not no_check)
        print_json(document) if as_json else print_data(document)
        return
    if download:
        click.echo(f"downloading {download} to {download_directory(download, data_dir)}; this takes a minute or two", err=True)
        fetch(download, data_dir)
    listed = [asdict(info) for info in DATASETS.values()]
    if as_json:
        print_json({"schema_version": 1, "datasets": listed})
    else:
        print_datasets(listed)


def _described(file: str, data_dir: Path | None, settings: Mapping[str, Any], *, is_checked: bool) -> dict[str, Any]:
    """Return a description of a file as a search with these settings would read it."""
    from faqnas_optuna.api.data import DataSource

    resolved = resolve_settings(file, settings, source="options")
    data = DataSource.located(resolved, data_dir)
    # After the checks of `located`, which need none of its libraries.
    from faqnas_optuna.reporting.documents import data_document

    return data_document(data.load(resolved.config), is_checked=is_checked)


@click.command()
@storage_options
@option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all addresses of this machine."
)
@option(
    "--port", type=IntRange(min=0, max=65535), default=8080, show_default=True, help="Port to listen on; 0 for any free port."
)
@option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="Host name by which browsers or a proxy reach the dashboard; repeatable.",
)
def dashboard(storage: str, host: str, port: int, allow_host: tuple[str, ...]) -> int:
    """Watch the studies in a browser, at http://127.0.0.1:8080/.

    The pages show the front and the hypervolume of each study, and every trial in optuna-dashboard. They are read-only.
    """
    from faqnas_optuna.signals import Signals

    with opened_storage(storage) as opened:
        from faqnas_optuna.dashboard.application import make_dashboard
        from faqnas_optuna.dashboard.hosts import in_url

        with make_dashboard(opened, host=host, port=port, allowed=allow_host) as server:
            url = f"http://{in_url(host)}:{server.server_port}/"
            # Printed before the server answers its first request.
            if server.hosts.are_exposed:
                click.echo(f"Note: {EXPOSED.format(port=server.server_port)}", err=True)
            click.echo(f"the dashboard is at {url} (Ctrl-C ends it)", err=True)
            with Signals().ending(server.shutdown) as signals:
                server.serve_forever()
    # Ctrl-C is the normal way to end the server.
    return 0 if signals.first is signal.SIGINT else signals.exit_code


@click.command()
@storage_options
@json_option
def doctor(storage: str, as_json: bool) -> int:
    """Check whether a search can run on this machine.

    Checks Python, packages, cache, engine, data sets and database, and says how to fix what fails. Compiles the fast engine and
    counts FLOPs if that has not been done yet.
    """
    from faqnas_optuna.cli.display import print_finding
    from faqnas_optuna.workers.readiness import examine

    findings = []
    with reporting(storage):
        for finding in examine(storage):
            findings.append(finding)
            # Each finding as soon as it is known, since compiling takes seconds.
            if not as_json:
                print_finding(finding)
    ready = all(finding.ready for finding in findings)
    if as_json:
        print_json({"schema_version": 1, "ready": ready, "findings": [asdict(finding) for finding in findings]})
    return 0 if ready else 1
