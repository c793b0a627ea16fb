"""What the tests of reading share."""

COLUMNS = {"customer_id": "id", "date": "day", "amount": "eur"}
HEADER = "id,day,eur\n"
ROW = "7,2024-01-05,5.00\n"


def lines(batches):
    """The rows of some batches, in the order of their lines, as dicts of what is not empty."""
    found = [row for batch in batches for row in batch.to_pylist()]
    return [
        {k: v for k, v in row.items() if v is not None}
        for row in sorted(found, key=lambda row: row["line"])
    ]


def of(rows, column):
    return [row.get(column) for row in rows]
