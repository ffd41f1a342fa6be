"""The published numbers stand as they were reported, apart from ours."""

from finbench.leaderboard import published


def test_scores_methods_and_costs_are_those_of_the_documents() -> None:
    accuracy, f1 = published.reported_scores("accuracy"), published.reported_scores("f1_weighted")
    assert "0.8630" in accuracy and "0.9736" in accuracy and "0.8600" in f1 and "as reported" in accuracy
    methods = published.reported_methods()
    assert all(value in methods for value in ("0.7950", "0.8555", "bottleneck"))
    assert "139.2" in published.reported_efficiency() and "**" not in accuracy
