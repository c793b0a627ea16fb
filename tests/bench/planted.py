"""How far the groups of the invented company's published run agree with what was planted in it.

Run `customer-matrix run data/crm_demo.yml` first.
"""

import pandas as pd
from sklearn.metrics import adjusted_rand_score, cohen_kappa_score

from analysis import schema
from analysis.intake import readers
from analysis.run import stage as runs
from analysis.segments.lifecycle import ACTIVE

SETTLED = 6  # order days; who has fewer shows little


def table(name: str) -> pd.DataFrame:
    return schema.read(name, runs.table_path("crm_demo", name)).set_index("customer_id")


def found(flag: pd.Series, planted: pd.Series) -> str:
    hits = (flag & planted).sum()
    return (
        f"precision {hits / max(flag.sum(), 1):.3f}, recall {hits / planted.sum():.3f}"
        f" ({planted.sum():,} planted)"
    )


def main() -> None:
    truth = pd.read_parquet(readers.sample_path("crm_demo/truth") / "customers.parquet").set_index(
        "customer_id"
    )
    segments, matrix, customers = table("segments"), table("matrix"), table("customers")
    truth = truth.reindex(segments.index)
    day = customers.last_order.max()
    settled, gone = customers.orders >= SETTLED, truth.dropout_day <= day
    half = truth.dropout_day <= day - pd.Timedelta(days=183)
    stayed = truth.dropout_day.isna()

    print(
        "time of day: night    ",
        found((segments.time_of_day == "night")[settled], (truth.group == "night")[settled]),
    )
    hunters = segments.prices == "discount_hunters"
    print("discount hunters      ", found(hunters[settled], (truth.group == "discount")[settled]))
    print("stage: prospect       ", found(segments.stage == "prospect", truth.group == "prospect"))
    print("stage: lost, of gone  ", found(segments.stage == "lost", gone))
    print(
        "lost or silent, gone for half a year", found(segments.stage.isin(["lost", "silent"]), half)
    )
    buyers = stayed & (truth.group != "prospect")
    print(f"stage: active, of those who stay: {segments.stage[buyers].isin(ACTIVE).mean():.3f}")
    single = (truth.interest != "") & (customers.orders >= SETTLED)
    print(
        f"interest, of one kind only: {(segments.interest == truth.interest)[single].mean():.3f} of"
        f" {single.sum()}"
    )
    asks = (truth.latent_interest != "") & (customers.orders >= SETTLED)
    print(
        "need, of the planted latent ones:"
        f" {(segments.need == truth.latent_interest)[asks].mean():.3f} of {asks.sum()}"
    )
    for name, who in (("all", truth.tier_intent.notna()), ("who stay", stayed)):
        print(
            f"tier, {name}: kappa {cohen_kappa_score(matrix.tier[who], truth.tier_intent[who]):.3f}"
        )
    print(pd.crosstab(truth.tier_intent[stayed], matrix.tier[stayed]).to_string())
    grouped = segments.cluster.notna()
    print(
        "clusters: adjusted Rand"
        f" {adjusted_rand_score(truth.group[grouped], segments.cluster[grouped]):.3f}"
    )
    print(pd.crosstab(truth.group[grouped], segments.cluster[grouped]).to_string())


if __name__ == "__main__":
    main()
