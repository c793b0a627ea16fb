"""What is said of a dataset before anything is run: its data quality, and figures to check."""

from collections.abc import Callable
from pathlib import Path

from ibis.expr.types import Table

from analysis.errors import InputError
from analysis.intake import cleaning, quality, readers, store
from analysis.intake import dataset as dataset_file
from analysis.intake import init as onboarding
from analysis.intake.columns import Choice, Entry, of_answer
from analysis.intake.company import Ask
from analysis.intake.dataset import Dataset
from analysis.intake.dataset_text import lines_of
from analysis.intake.value_formats import ASK
from analysis.report.text import say
from analysis.run.stage import gather, judged_records, parse_day


def judged(dataset: Dataset, as_of: str, echo: Callable[[str], None]) -> dict[str, Table]:
    """The records as of a day (by default the last complete one), which is said."""
    say.speak(dataset.language, dataset.currency)
    folder = gather(dataset, echo)
    orders = store.typed(folder, "transactions")
    day = parse_day(as_of) or dataset.as_of or cleaning.last_complete_day(orders, dataset)
    echo(say("As of {day:date}:", day=day))
    return judged_records(folder, dataset, day)


def doubts(dataset: Dataset) -> list[str]:
    """What `init` would note and ask of the files of orders, but for what the dataset file says."""
    said: list[str] = []
    for piece in readers.pieces(dataset, "transactions"):
        if not piece.file.path:
            continue
        told = {*dataset.model_fields_set, *piece.file.model_fields_set, *piece.file.meanings}
        try:
            looks = onboarding.look_at(piece.path, onboarding.MOST_ROWS)
        except InputError:  # the dataset file says how to read it
            continue
        for one in looks:
            if one.what.table == "transactions":
                said += [onboarding.noted(piece.name, note) for note in one.what.notes]
                asked = [entry for _, entry in one.questions if entry.key not in told]
                said += [onboarding.asked(f"{piece.name}: {entry.question}") for entry in asked]
    return list(dict.fromkeys(said))


def check(dataset: Dataset, as_of: str, echo: Callable[[str], None]) -> None:
    """Say the data quality, what `init` would say, and the figures to check. Raises InputError for
    what stops a run.
    """
    records = judged(dataset, as_of, echo)
    figures = quality.to_check(records["transactions"])
    for line in [*quality.summary(records, dataset), *doubts(dataset), *figures]:
        echo(line)
    cleaning.check_losses(records["transactions"], dataset)


def begin(path: Path, echo: Callable[[str], None], ask: Ask | None) -> None:
    """Say the figures to check of a dataset file just written; what it would lose is asked."""
    dataset = dataset_file.load(path)
    orders = judged(dataset, "", echo)["transactions"]
    for line in quality.to_check(orders):
        echo(line)
    lost = cleaning.losses(orders, dataset)
    if lost.empty:
        return
    losses = "; ".join(cleaning.loss_in_words(row) for _, row in lost.iterrows())
    question = say("{losses:text}. Leave them out?", losses=losses)
    choices = (
        Choice(say("yes, leave them out"), {"accept": list(lost.reason)}),
        Choice(say("no, I correct the file or export again"), {"accept": []}),
    )
    entries = [Entry("accept", ASK, question=question, choices=choices)]
    if ask:
        entries = of_answer(choices[ask(question, [choice.words for choice in choices])].keys)
    else:
        echo(question)
    text, added = path.read_text("utf-8"), "\n".join(lines_of(entries))
    path.write_text(text.replace("\ntables:", f"\n{added}\ntables:", 1), "utf-8")
