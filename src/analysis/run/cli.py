"""The command customer-matrix; imports what a command needs only when it runs."""

import sys
from pathlib import Path

import click

from analysis import __version__
from analysis.errors import InputError, RunError, Stopped
from analysis.run.stopping import stoppable


class Commands(click.Group):
    """Turns the kinds of failure into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            with stoppable():
                return super().invoke(ctx)
        except (InputError, RunError, Stopped) as error:
            click.secho(str(error), fg="red", err=True)
            sys.exit(error.exit_code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """From order and CRM records to a reviewed picture of customers and a plan for each group."""


as_of_day = click.option(
    "--as-of",
    default="",
    metavar="DATE",
    help="Day of the picture, YYYY-MM-DD; by default the last complete day.",
)
spoken = click.option(
    "--language",
    default="",
    metavar="TAG",
    help="To say it in, as zh; by default the dataset file's, or English.",
)
of_run = click.option(
    "--as-of", default="", metavar="DATE", help="Of the run at this day; by default the newest."
)


@main.command()
@click.argument("dataset")
@as_of_day
@click.option(
    "-p",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter, for all notebooks that have it or for one: 02_segments.k=5.",
)
@click.option(
    "--from",
    "start",
    default="",
    metavar="STAGE",
    help="Make this stage and the later ones anew, even if unchanged.",
)
@click.option(
    "--jobs",
    default=2,
    show_default=True,
    type=click.IntRange(1, 16),
    help="Notebooks side by side.",
)
@click.option(
    "--language",
    "languages",
    multiple=True,
    metavar="TAG",
    help="To say it in, as zh; by default the dataset file's. Given twice, pages in both.",
)
@click.option("--open", "opened", is_flag=True, help="Show the report in the browser when done.")
@click.option(
    "--trial",
    metavar="NAME",
    help="Keep this run by itself under a name: nothing is published, no plan frozen.",
)
@click.option(
    "--notify",
    default="",
    metavar="COMMAND",
    help="Called with the path of the list of alerts, if one of them is new; without a shell.",
)
@click.option(
    "--new-cycle",
    is_flag=True,
    help="Freeze a new plan today, though that of a cycle holds; says whose proof that costs.",
)
def run(
    dataset: str,
    as_of: str,
    given: tuple[str, ...],
    start: str,
    jobs: int,
    languages: tuple[str, ...],
    opened: bool,
    new_cycle: bool,
    trial: str | None,
    notify: str,
) -> None:
    """Regenerate the reports of the dataset file DATASET."""
    from analysis.run import pipeline

    index = pipeline.run(
        dataset, as_of, given, start, jobs, click.echo, new_cycle, trial, notify, languages
    )
    click.echo(index)
    if opened:
        import webbrowser

        webbrowser.open(index.as_uri())


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--name", default="", help="Of the dataset file in data/; by default the first file's name."
)
@spoken
def init(paths: tuple[Path, ...], name: str, language: str) -> None:
    """Look at PATHS and write the dataset file that describes them."""
    from analysis import files
    from analysis.intake import init as onboarding
    from analysis.intake.dataset import questions_in
    from analysis.report.text import say
    from analysis.run import first_look

    def ask(question: str, answers: list[str]) -> int:
        click.echo(question)
        for number, answer in enumerate(answers, start=1):
            click.echo(f"  {number}. {answer}")
        return int(click.prompt(say("Number"), type=click.IntRange(1, len(answers)))) - 1

    on_screen = sys.stdin.isatty() and sys.stdout.isatty()
    answer = ask if on_screen else None
    written, lines = onboarding.init(paths, name, files.home() / "data", answer, language or "en")
    for line in lines:
        click.echo(line)
    if not list(questions_in(written.read_text("utf-8"))):
        first_look.begin(written, click.echo, answer)
    done = say(
        "Written: {file:text}. Read it, then: customer-matrix check {file:text}", file=written
    )
    click.echo(done)


@main.command()
@click.argument("dataset", required=False)
@as_of_day
@click.option("--keys", is_flag=True, help="Instead, print every key a dataset file may have.")
@spoken
def check(dataset: str | None, as_of: str, keys: bool, language: str) -> None:
    """Print the data quality of the dataset file DATASET; nothing is run."""
    from analysis.intake import dataset as dataset_file
    from analysis.intake import dataset_text
    from analysis.report.text import say
    from analysis.run import first_look

    if keys or not dataset:
        say.speak(language or "en", say.currency)
        click.echo(dataset_text.reference())
        return
    found = dataset_file.load(dataset)
    said = found.model_copy(update={"language": language or found.language})
    first_look.check(said, as_of, click.echo)


@main.command()
def params() -> None:
    """List every parameter with its notebooks, type, default and meaning."""
    from analysis.run.parameters import GIVEN_BY_THE_RUN, parameters
    from analysis.run.stage import STAGES

    for stage in STAGES:
        click.secho(stage, bold=True)
        for p in parameters(stage).values():
            if p.name not in GIVEN_BY_THE_RUN:
                click.echo(f"  {f'{p.name}: {p.type} = {p.default!r}':<34} {p.comment}")


@main.command()
@click.argument("dataset")
@click.argument("table")
@of_run
def path(dataset: str, table: str, as_of: str) -> None:
    """Print where the published TABLE of DATASET (its name) lies."""
    from analysis.run import stage as runs

    click.echo(runs.table_path(dataset, table, as_of))


@main.command()
@click.argument("dataset")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@of_run
def contacts(dataset: str, file: Path, as_of: str) -> None:
    """Write whom the published plan of DATASET (its name) reaches, with names and contact details,
    to FILE (.csv or .xlsx).

    The only list that has them. Customers who have not agreed to be contacted are left out.
    """
    from analysis import schema
    from analysis.report import exports
    from analysis.report.text import say
    from analysis.run import stage as runs
    from analysis.strategy import plan

    made, profiles = (
        schema.read(name, runs.table_path(dataset, name, as_of)) for name in ("plan", "profiles")
    )
    listed, barred = plan.contact_list(made, profiles)
    company = (runs.published(dataset, as_of) or {})["settings"]
    say.speak(company["language"], company["currency"])
    exports.write_list(listed, file)
    click.echo(
        f"{len(listed):,} customers written to {file}; {barred:,} left out, because they have not"
        " agreed to be contacted."
    )


@main.command()
@click.argument("dataset")
@click.argument("before")
@click.argument("after", default="")
def compare(dataset: str, before: str, after: str) -> None:
    """Print what changed from the run BEFORE to the run AFTER of DATASET (its name), each a day or
    a trial, the latter by default the newest; a page with it is written to the reports.
    """
    from analysis.run import compare as comparing

    page, lines = comparing.compare(dataset, before, after)
    for line in [*lines, str(page)]:
        click.echo(line)


@main.command()
@click.argument("dataset")
@click.argument("customers", nargs=-1, metavar="[CUSTOMER]...")
@click.option("--strategic", is_flag=True, help="One for every strategic customer.")
@click.option("--warned", is_flag=True, help="One for every customer with most to lose.")
@click.option(
    "--contacts",
    is_flag=True,
    help="With names and contact details of who has agreed to be contacted.",
)
@click.option(
    "--run", "day", default="", metavar="RUN", help="Of this day or trial; by default the newest."
)
def sheet(
    dataset: str,
    customers: tuple[str, ...],
    strategic: bool,
    warned: bool,
    contacts: bool,
    day: str,
) -> None:
    """Write what is known of each CUSTOMER (an id) of DATASET (its name) on a page of its own, to
    print before a visit.

    Only you can read the pages; `clean` removes them.
    """
    from analysis.run import sheet as sheets

    for page in sheets.write(dataset, customers, strategic, warned, contacts, day):
        click.echo(page)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...]) -> None:
    """Open the notebooks in JupyterLab; further ARGUMENTS are passed on to it."""
    import signal
    import subprocess

    from analysis.files import ROOT

    signal.signal(signal.SIGINT, lambda *_: None)  # JupyterLab asks before it ends
    call = [sys.executable, "-m", "jupyter", "lab", "--notebook-dir", str(ROOT), *arguments]
    sys.exit(subprocess.call(call))


@main.command()
@click.option(
    "--all", "everything", is_flag=True, help="Published runs, models, reports and cycles too."
)
@click.option(
    "--cycles", is_flag=True, help="The frozen plans of cycles too: nobody measures them."
)
def clean(everything: bool, cycles: bool) -> None:
    """Remove drafts, trials, customers' sheets and unfinished work; your raw data stay. Refuses
    while a run is in progress.
    """
    from contextlib import ExitStack

    from analysis import files
    from analysis.run.pipeline import alone

    work = files.home() / "data" / "processed"
    unfinished = [*work.glob("*/*/draft"), *work.glob("*/*/*.part"), *work.glob("*/*.part")]
    unfinished += work.glob("*/trials")
    unfinished += (
        f for top in ("models", "reports") for f in (files.home() / top).glob("*/trials")
    )
    unfinished += (files.home() / "reports").glob("*/sheets")
    if cycles:  # their folders stay, so that no run brings them back
        unfinished += work.glob("*/cycles/*/*")
    published = [
        *(path for path in work.glob("*/*") if path.name != ".lock"),
        files.home() / "data" / "samples",
        *(path for top in ("models", "reports") for path in (files.home() / top).glob("*/")),
    ]
    with ExitStack() as locks:
        for folder in work.glob("*/"):
            locks.enter_context(alone(folder.name))
        for path in filter(Path.exists, published if everything else unfinished):
            gone = files.remove(path)
            click.echo(f"{'removed' if gone else 'cannot remove'} {path}", err=not gone)
